"""The confusion matrix as a picture and as a table, and how a figure is written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from .drawing import Font, font, shortened
from .images import Image

MOST_NAMES = 60  # classes whose names and counts are written beside a matrix
LETTERS = 13
LONGEST = 200  # pixels of a name beside a matrix
SIDE = 1200  # pixels of a matrix without names
AXES = ("down: class", "across: taken for")


def shown(value: float | None) -> str:
    """A figure to four digits, or a dash where there is none."""
    return "–" if value is None else f"{value:.4f}"


def matrix_sheet(matrix: NDArray[np.int64], classes: Sequence[str]) -> list[list[object]]:
    """The confusion matrix ``[C, C]`` as rows of a table with names."""
    header: list[object] = ["class \\ predicted", *classes]
    return [header, *([name, *row] for name, row in zip(classes, matrix.tolist(), strict=True))]


def draw_matrix(matrix: NDArray[np.int64], classes: Sequence[str]) -> Image:
    """The confusion matrix ``[C, C]`` as ``[H, W, 3]``: classes down, predictions across.

    Shades are square roots of the shares of a row, since the few that are mistaken are what one looks for. Names and
    counts are written where there are 60 classes or fewer.
    """
    shares = np.sqrt(matrix / np.maximum(1, matrix.sum(1, keepdims=True)))
    shades = (255 * (1 - shares[:, :, None] * (1 - np.array([0.05, 0.25, 0.55])))).astype(np.uint8)
    if len(classes) > MOST_NAMES:
        side = max(1, SIDE // len(classes))
        return np.ascontiguousarray(shades.repeat(side, axis=0).repeat(side, axis=1))
    letters = font(LETTERS, "".join(classes))
    names = [shortened(name, letters, LONGEST) for name in classes]
    digits = max(len(str(matrix.max())), 2)
    side = max(24, round(digits * LETTERS * 0.62) + 8)
    margin = round(max(letters.getlength(text) for text in (*names, *AXES))) + 16
    extent = margin + side * len(classes)
    canvas = PIL.Image.new("RGB", (extent + 8, extent + 8), "white")
    canvas.paste(PIL.Image.fromarray(shades.repeat(side, axis=0).repeat(side, axis=1)), (margin, margin))
    pen = PIL.ImageDraw.Draw(canvas)
    for k, text in enumerate(reversed(AXES)):
        pen.text((8, margin - 8 - 18 * k), text, fill="grey", font=letters, anchor="ls")
    for i, name in enumerate(names):
        middle = margin + side * i + side // 2
        pen.text((margin - 8, middle), name, fill="black", font=letters, anchor="rm")
        for j in range(len(names)):
            if matrix[i, j]:
                where = (margin + side * j + side // 2, middle)
                fill = "white" if shares[i, j] > 0.6 else "black"
                pen.text(where, str(matrix[i, j]), fill=fill, font=letters, anchor="mm")
    return np.array(with_names_across(canvas, names, letters, margin, side))


def with_names_across(
    canvas: PIL.Image.Image, names: Sequence[str], letters: Font, margin: int, side: int
) -> PIL.Image.Image:
    """Writes ``names`` upwards above their columns of ``side`` pixels."""
    turned = canvas.rotate(-90, expand=True)
    pen = PIL.ImageDraw.Draw(turned)
    for k, name in enumerate(names):
        where = (turned.width - margin + 8, margin + side * k + side // 2)
        pen.text(where, name, fill="black", font=letters, anchor="lm")
    return turned.rotate(90, expand=True)
