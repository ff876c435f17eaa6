"""Draws confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from ..images import Image
from .text import load_font, shorten_text

MATRIX_AXES = ("down: true class", "across: predicted")
MATRIX_FONT = 13
MAX_MATRIX_NAMES = 60
MAX_NAME_WIDTH = 200  # pixels of a class name beside a matrix


def select_classes(matrix: NDArray[np.int64]) -> NDArray[np.intp]:
    """Returns the indices of the classes of a confusion matrix ``[C, C]`` to draw, in their order.

    All classes are drawn if there are at most 60, otherwise those that occur, and of these the 60 that are confused
    most often.
    """
    if len(matrix) <= MAX_MATRIX_NAMES:
        return np.arange(len(matrix))
    counts = matrix.sum(0) + matrix.sum(1)
    confusions = counts - 2 * matrix.diagonal()
    number = min(MAX_MATRIX_NAMES, int((counts > 0).sum()) or MAX_MATRIX_NAMES)
    return np.sort(np.lexsort((-counts, -confusions))[:number])


def draw_confusion_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> Image:
    """Draws a confusion matrix ``[C, C]`` as ``[H, W, 3]``: true classes down, predicted classes across.

    A cell's shade is the square root of its share of the row, so that rare mistakes are visible. Of more than 60
    classes, only those that :func:`select_classes` returns are drawn.
    """
    drawn = select_classes(matrix)
    captions: list[str] = list(MATRIX_AXES)
    if len(drawn) < len(classes):
        choice = "the most confused" if len(drawn) == MAX_MATRIX_NAMES else "those that occur"
        captions.append(f"{len(drawn)} of {len(classes)} classes, {choice}")
    shares = np.sqrt(matrix / np.maximum(1, matrix.sum(1, keepdims=True)))[np.ix_(drawn, drawn)]
    matrix = matrix[np.ix_(drawn, drawn)]
    shades = (255 * (1 - shares[:, :, None] * (1 - np.array([0.05, 0.25, 0.55])))).astype(np.uint8)
    font = load_font(MATRIX_FONT, "".join(classes))
    names = [shorten_text(classes[k], font, MAX_NAME_WIDTH) for k in map(int, drawn)]
    digits = max(len(str(matrix.max())), 2)
    side = max(24, round(digits * MATRIX_FONT * 0.62) + 8)
    margin = round(max(font.getlength(text) for text in (*names, *captions))) + 16
    size = margin + side * len(names) + 8
    middles = [margin + side * k + side // 2 for k in range(len(names))]
    canvas = PIL.Image.new("RGB", (size, size), "white")
    canvas.paste(PIL.Image.fromarray(shades.repeat(side, axis=0).repeat(side, axis=1)), (margin, margin))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, text in enumerate(reversed(captions)):
        pen.text((8, margin - 8 - 18 * k), text, fill="grey", font=font, anchor="ls")
    for name, y in zip(names, middles, strict=True):
        pen.text((margin - 8, y), name, fill="black", font=font, anchor="rm")
    for i, j in np.argwhere(matrix).tolist():
        fill = "white" if shares[i, j] > 0.6 else "black"
        pen.text((middles[j], middles[i]), str(matrix[i, j]), fill=fill, font=font, anchor="mm")
    # names of columns run upwards: they are written on the rotated image
    canvas = canvas.rotate(-90)
    pen = PIL.ImageDraw.Draw(canvas)
    for name, y in zip(names, middles, strict=True):
        pen.text((size - margin + 8, y), name, fill="black", font=font, anchor="lm")
    return np.array(canvas.rotate(90))


def confusion_table(matrix: NDArray[np.int64], classes: Sequence[str]) -> list[list[object]]:
    """Arranges a confusion matrix ``[C, C]`` as rows of a table with class names."""
    header: list[object] = ["class \\ predicted", *classes]
    return [header, *([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))]
