"""Draws confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from ..images import Image
from .colours import Colour
from .text import load_font, shorten_text

MATRIX_AXES = ("down: true class", "across: predicted")
MATRIX_FONT, COUNT_FONT = 13, 10
MAX_MATRIX_NAMES = 60
MAX_NAME_WIDTH = 200  # pixels of a class name beside a matrix
#: pixels of a cell: the smallest can hold every share, and the largest shares and most counts
MIN_CELL, MAX_CELL = 30, 64
MATRIX_SIDE = 640  # pixels of all cells, within the limits of one
SHADE = (0.05, 0.25, 0.55)  # of a share of 1: a dark blue
GRID_COLOUR: Colour = (225, 225, 225)
DIAGONAL_COLOUR: Colour = (213, 94, 0)  # vermilion, which all eyes tell from blue


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


def compute_row_shares(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divides the counts of each row by their sum; a row without counts stays 0."""
    return matrix / np.maximum(1, matrix.sum(1, keepdims=True))


def format_share(share: float) -> str:
    """Formats a ``share`` of 0 … 1 in %, rounded but never to 0 or 100; empty if it is 0."""
    if share in (0, 1):
        return "100" if share else ""
    return "<1" if share < 0.01 else ">99" if share > 0.99 else f"{100 * share:.0f}"


def draw_confusion_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> Image:
    """Draws a confusion matrix ``[C, C]`` as ``[H, W, 3]``: true classes down, predicted classes across.

    A cell has its share of the row in %, and below it the count if all counts fit. Its shade is the square root of the
    share, so that rare mistakes are visible. The diagonal, which is right, has a border. Of more than 60 classes, only
    those that :func:`select_classes` returns are drawn; a row is still that of all classes.
    """
    drawn = select_classes(matrix)
    side = min(MAX_CELL, max(MIN_CELL, MATRIX_SIDE // len(drawn)))
    has_counts = can_show_counts(matrix, side)
    captions: list[str] = [*MATRIX_AXES, "cells: % of the row, count" if has_counts else "cells: % of the row"]
    if len(drawn) < len(classes):
        choice = "the most confused" if len(drawn) == MAX_MATRIX_NAMES else "those that occur"
        captions.append(f"{len(drawn)} of {len(classes)} classes, {choice}")
    shares = compute_row_shares(matrix)[np.ix_(drawn, drawn)]
    font = load_font(MATRIX_FONT, "".join(classes))
    names = [shorten_text(classes[k], font, MAX_NAME_WIDTH) for k in map(int, drawn)]
    cells = draw_cells(shares, side, matrix[np.ix_(drawn, drawn)] if has_counts else None)
    margin = round(max(font.getlength(text) for text in (*names, *captions))) + 16
    size = margin + cells.height + 8
    middles = [margin + side * k + side // 2 for k in range(len(names))]
    canvas = PIL.Image.new("RGB", (size, size), "white")
    canvas.paste(cells, (margin, margin))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, text in enumerate(reversed(captions)):
        pen.text((8, margin - 8 - 18 * k), text, fill="dimgrey", font=font, anchor="ls")
    for name, y in zip(names, middles, strict=True):
        pen.text((margin - 8, y), name, fill="black", font=font, anchor="rm")
    # names of columns run upwards: they are written on the rotated image
    canvas = canvas.rotate(-90)
    pen = PIL.ImageDraw.Draw(canvas)
    for name, y in zip(names, middles, strict=True):
        pen.text((size - margin + 8, y), name, fill="black", font=font, anchor="lm")
    return np.array(canvas.rotate(90))


def can_show_counts(matrix: NDArray[np.int64], side: int) -> bool:
    """Whether all counts of a confusion matrix fit into cells of ``side`` pixels, below their shares."""
    widest = load_font(COUNT_FONT).getlength(str(matrix.max()))
    return side >= MATRIX_FONT + 2 * COUNT_FONT and widest <= side - 8


def draw_cells(shares: NDArray[np.float64], side: int, counts: NDArray[np.int64] | None) -> PIL.Image.Image:
    """Draws ``shares`` ``[K, K]`` of 0 … 1 in cells of ``side`` pixels, above their ``counts`` ``[K, K]`` if any."""
    depths = np.sqrt(shares)
    shades = (255 * (1 - depths[:, :, None] * (1 - np.array(SHADE)))).astype(np.uint8)
    canvas = PIL.Image.fromarray(shades.repeat(side, axis=0).repeat(side, axis=1))
    pen = PIL.ImageDraw.Draw(canvas)
    for start in range(0, canvas.width, side):
        pen.line((0, start, canvas.width, start), fill=GRID_COLOUR)
        pen.line((start, 0, start, canvas.height), fill=GRID_COLOUR)
    for start in range(0, canvas.width, side):
        pen.rectangle((start, start, start + side - 1, start + side - 1), outline=DIAGONAL_COLOUR, width=2)
    for i, j in np.argwhere(shares).tolist():
        fill = "white" if depths[i, j] > 0.6 else "black"
        x, y = side * j + side // 2, side * i + side // 2
        lift = 0 if counts is None else COUNT_FONT - 3
        pen.text((x, y - lift), format_share(shares[i, j]), fill=fill, font=load_font(MATRIX_FONT), anchor="mm")
        if counts is not None:
            pen.text((x, y + lift + 2), str(counts[i, j]), fill=fill, font=load_font(COUNT_FONT), anchor="mm")
    return canvas


def confusion_table(matrix: NDArray[np.int64], classes: Sequence[str]) -> list[list[object]]:
    """Arranges a confusion matrix ``[C, C]`` as rows of a table with class names."""
    header: list[object] = ["class \\ predicted", *classes]
    return [header, *([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))]
