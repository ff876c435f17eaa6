"""Draws the names of classes beside their colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from ...heads.predictions import IGNORED
from ..images import Image
from .colours import Colour
from .text import load_font, shorten_text

LabelMap = NDArray[np.uint8]

SHEET_FONT = 14
MAX_LEGEND_NAMES = 64
MIN_LEGEND_WIDTH = 160  # pixels in which most class names can be read
MIN_LEGEND_FONT = 12


def choose_legend_font(image: Image) -> int:
    """Returns the font size in pixels of a legend below ``image``, with which it grows."""
    height, width = image.shape[:2]
    return max(MIN_LEGEND_FONT, round(min(width, 2 * height) / 55))


def rank_classes(label_maps: Iterable[LabelMap], number: int) -> list[int]:
    """Returns those of ``number`` classes that ``label_maps`` contain, the class with the most pixels first."""
    pixels = np.zeros(IGNORED + 1, dtype=np.int64)
    for labels in label_maps:
        pixels += np.bincount(labels.ravel(), minlength=IGNORED + 1)
    order = np.argsort(-pixels[:number], kind="stable")
    return [k for k in order.tolist() if pixels[k]]


def draw_legend(classes: Sequence[str], colours: Sequence[Colour], width: int, font_size: int = SHEET_FONT) -> Image:
    """Draws class names beside their colours in columns, ``[h, width, 3]``.

    Args:
        classes: names; long ones are shortened, and those after the 64th are only counted.
        colours: one for each class.
        width: in pixels.
        font_size: in pixels.
    """
    more = len(classes) - MAX_LEGEND_NAMES
    names = [*classes[:MAX_LEGEND_NAMES], *([f"and {more} more"] if more > 0 else [])]
    font = load_font(font_size, "".join(names))
    gap, line_height = font_size // 2, round(1.5 * font_size)
    margins = font_size + 3 * gap  # of a name: its colour and the space around both
    widest = max((font.getlength(name) for name in names), default=0)
    columns = max(1, min(len(names), int((width - gap) // (widest + margins))))
    step = min((width - gap) / columns, widest + margins + 2 * font_size)
    canvas = PIL.Image.new("RGB", (width, line_height * -(-len(names) // columns) + gap), "white")
    pen = PIL.ImageDraw.Draw(canvas)
    for k, name in enumerate(names):
        row, column = divmod(k, columns)
        left, middle = gap + round(column * step), gap // 2 + row * line_height + line_height // 2
        if k < MAX_LEGEND_NAMES:
            top = middle - font_size // 2
            pen.rectangle((left, top, left + font_size, top + font_size), fill=colours[k], outline="black")
        text = shorten_text(name, font, width - left - font_size - 2 * gap)
        pen.text((left + font_size + gap, middle), text, fill="black", font=font, anchor="lm")
    return np.array(canvas)
