"""Drawn classes: a caption on a picture, contact sheets of a batch, and the confusion matrix as a map."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray
from torch import Tensor

from ..drawing import Colour, font
from ..images import Image

MOST_IMAGES = 24
COLUMNS = 6
CELL = 192  # pixels of the longer side of a picture on a sheet
RIGHT, WRONG, PLAIN = (30, 120, 50), (190, 40, 40), (40, 40, 40)
MOST_NAMES = 60  # classes whose names and counts are written beside a matrix
LETTERS = 13


def captioned(image: Image, lines: Sequence[str], colour: Colour = PLAIN) -> Image:
    """``image`` ``[H, W, 3]`` with ``lines`` of white letters on ``colour`` below it, as wide as the picture."""
    letters = font(max(11, round(max(image.shape[:2]) / 22)))
    height = letters.getbbox("Äg")[3] + 3
    canvas = PIL.Image.new("RGB", (image.shape[1], image.shape[0] + round(height * len(lines)) + 3), colour)
    canvas.paste(PIL.Image.fromarray(np.ascontiguousarray(image)))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, line in enumerate(lines):
        pen.text((4, image.shape[0] + 1 + k * height), line, fill="white", font=letters)
    return np.array(canvas)


def draw_classes(image: Image, scores: Tensor, classes: Sequence[str], count: int = 3) -> Image:
    """``image`` with its ``count`` most probable classes below it."""
    best = scores.topk(min(count, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return captioned(image, [f"{classes[k]} {score:.2f}" for k, score in pairs])


def contact_sheet(images: Tensor, labels: Tensor, scores: Tensor, classes: Sequence[str]) -> Image:
    """Pictures as one, each with its class and what it was taken for, red where these differ.

    Args:
        images: ``[N, 3, H, W]`` uint8; the first 24 are drawn.
        labels: ``[N]`` classes from 0.
        scores: ``[N, C]``.
        classes: names of the classes.
    """
    cells: list[Image] = []
    for image, label, row in list(zip(images.cpu(), labels.tolist(), scores.cpu(), strict=True))[:MOST_IMAGES]:
        scale = CELL / max(image.shape[1:])
        size = (round(image.shape[2] * scale), round(image.shape[1] * scale))
        picture = np.asarray(cv2.resize(image.permute(1, 2, 0).numpy(), size, interpolation=cv2.INTER_AREA), np.uint8)
        taken, score = int(row.argmax()), float(row.max())
        lines = [classes[label], f"→ {classes[taken]} {score:.2f}"]
        cells.append(captioned(picture, lines, RIGHT if taken == label else WRONG))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % COLUMNS if len(cells) > COLUMNS else 0)
    rows = [np.concatenate(cells[k : k + COLUMNS], axis=1) for k in range(0, len(cells), COLUMNS)]
    return np.concatenate(rows, axis=0)


def draw_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> Image:
    """The confusion matrix ``[C, C]`` as ``[H, W, 3]``: classes down, predictions across, shares of the row as shades.

    Names and counts are written where there are 60 classes or fewer.
    """
    shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    shades = (255 * (1 - shares[:, :, None] * (1 - np.array([0.05, 0.25, 0.55])))).astype(np.uint8)
    if len(classes) > MOST_NAMES:
        side = max(2, 1200 // len(classes))
        return np.ascontiguousarray(shades.repeat(side, axis=0).repeat(side, axis=1))
    letters = font(LETTERS)
    digits = max(len(str(matrix.max())), 2)
    side = max(24, round(digits * LETTERS * 0.62) + 8)
    margin = round(max(letters.getlength(name) for name in classes)) + 16
    extent = margin + side * len(classes)
    canvas = PIL.Image.new("RGB", (extent + 8, extent + 8), "white")
    canvas.paste(PIL.Image.fromarray(shades.repeat(side, axis=0).repeat(side, axis=1)), (margin, margin))
    pen = PIL.ImageDraw.Draw(canvas)
    for i, name in enumerate(classes):
        middle = margin + side * i + side // 2
        pen.text((margin - 8, middle), name, fill="black", font=letters, anchor="rm")
        for j in range(len(classes)):
            if matrix[i, j]:
                dark = shares[i, j] > 0.5
                where = (margin + side * j + side // 2, middle)
                pen.text(where, str(matrix[i, j]), fill="white" if dark else "black", font=letters, anchor="mm")
    return np.array(with_names_across(canvas, classes, margin, side))


def with_names_across(canvas: PIL.Image.Image, classes: Sequence[str], margin: int, side: int) -> PIL.Image.Image:
    """Writes the names of ``classes`` upwards above their columns of ``side`` pixels."""
    letters = font(LETTERS)
    turned = canvas.rotate(-90, expand=True)
    pen = PIL.ImageDraw.Draw(turned)
    for k, name in enumerate(classes):
        pen.text(
            (turned.width - margin + 8, margin + side * k + side // 2), name, fill="black", font=letters, anchor="lm"
        )
    return turned.rotate(90, expand=True)
