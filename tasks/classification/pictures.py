"""Drawn classes: a caption on a picture, and contact sheets of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from torch import Tensor

from ..drawing import Colour, font, shortened
from ..images import Image

MOST_IMAGES = 24
COLUMNS = 6
CELL = 192  # pixels of the longer side of a picture on a sheet
GAP = 4  # pixels between pictures on a sheet
RIGHT, WRONG, PLAIN = (30, 120, 50), (190, 40, 40), (40, 40, 40)
LEAST_WIDTH = 128  # pixels of a caption, in which a score and most names can be read


def captioned(image: Image, lines: Sequence[str], colour: Colour = PLAIN) -> Image:
    """``image`` ``[H, W, 3]`` with ``lines`` of white letters on ``colour`` below it.

    The result has the width of the picture, or more where that is too narrow for letters; what is too long is cut.
    """
    height, width = image.shape[:2]
    letters = font(max(11, round(min(width, 2 * height) / 22)), "".join(lines))
    step = round(letters.getbbox("Äg")[3]) + 3
    canvas = PIL.Image.new("RGB", (max(width, LEAST_WIDTH), height + step * len(lines) + 3), colour)
    canvas.paste(PIL.Image.fromarray(np.ascontiguousarray(image)))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, line in enumerate(lines):
        text = shortened(line, letters, canvas.width - 8)
        pen.text((4, height + 1 + k * step), text, fill="white", font=letters)
    return np.array(canvas)


def draw_classes(
    image: Image, scores: Tensor, classes: Sequence[str], least_score: float = 0.0, count: int = 3
) -> Image:
    """``image`` with its most probable classes below it.

    Args:
        image: ``[H, W, 3]`` uint8.
        scores: ``[C]`` in 0 … 1.
        classes: names of the classes.
        least_score: classes below it are not written; their place stays, so that frames of a video keep one size.
        count: how many classes there is place for.
    """
    best = scores.topk(min(count, len(classes)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return captioned(image, [f"{score:.2f} {classes[k]}" if score >= least_score else "" for k, score in pairs])


def contact_sheet(images: Tensor, labels: Tensor, scores: Tensor, classes: Sequence[str]) -> Image:
    """Pictures as one, each above its class and what it was taken for, red where these differ and green elsewhere.

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
        lines = [classes[label], f"{score:.2f} {classes[taken]}"]
        cell = captioned(picture, lines, RIGHT if taken == label else WRONG)
        cells.append(np.pad(cell, ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % COLUMNS if len(cells) > COLUMNS else 0)
    rows = [np.concatenate(cells[k : k + COLUMNS], axis=1) for k in range(0, len(cells), COLUMNS)]
    return np.concatenate(rows, axis=0)
