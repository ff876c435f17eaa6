"""Drawn label maps: colours laid over a picture, a legend below it, contact sheets of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from torch import Tensor

from ..drawing import font, shortened
from ..images import Image
from .colours import class_colours, colour_table
from .masks import Labels

MOST_IMAGES = 8
CELL = 480  # pixels of the longer side of a picture on a sheet
GAP = 8
OPACITY = 0.55  # of the colours over a picture
LETTERS = 14  # pixels of those of a legend
LEAST_LETTERS = 12  # below a small picture
LEAST_WIDTH = 160  # pixels of a legend, in which most names can be read
MOST_NAMES = 64  # that a legend has
SIDES = "On the left of each pair the mask, on the right what was predicted; what is pale counts as no class."


def coloured(labels: Labels, classes: Sequence[str]) -> Image:
    """Labels ``[H, W]`` as colours ``[H, W, 3]``; what counts as no class is white."""
    channels = cv2.merge([labels] * 3)  # a look-up by OpenCV takes a quarter of NumPy's time
    return np.asarray(cv2.LUT(channels, colour_table(classes)[None]), dtype=np.uint8)


def overlaid(image: Image, labels: Labels, classes: Sequence[str]) -> Image:
    """``image`` ``[H, W, 3]`` under the colours of its labels ``[H, W]``."""
    colours = coloured(labels, classes)
    return np.asarray(cv2.addWeighted(image, 1 - OPACITY, colours, OPACITY, 0), dtype=np.uint8)


def legend(classes: Sequence[str], width: int, size: int = LETTERS) -> Image:
    """Names beside their colours in columns, ``[h, width, 3]``: the same for every picture of one width.

    Args:
        classes: their names, of which those that are too long for the width are cut; beyond 64 they are counted.
        width: in pixels.
        size: of the letters, in pixels.
    """
    more = len(classes) - MOST_NAMES
    names = [*classes[:MOST_NAMES], *([f"and {more} more"] if more > 0 else [])]
    letters = font(size, "".join(names))
    gap, line = size // 2, round(1.5 * size)
    taken = size + 3 * gap  # by a colour and what is left free around a name
    widest = max((letters.getlength(name) for name in names), default=0)
    columns = min(len(names), max(1, int((width - gap) // (widest + taken))))
    step = min((width - gap) / columns, widest + taken + 2 * size)
    colours = class_colours(classes)
    canvas = PIL.Image.new("RGB", (width, line * -(-len(names) // columns) + gap), "white")
    pen = PIL.ImageDraw.Draw(canvas)
    for k, name in enumerate(names):
        row, column = divmod(k, columns)
        x, middle = gap + round(column * step), gap // 2 + row * line + line // 2
        if k < MOST_NAMES:
            box = (x, middle - size // 2, x + size, middle - size // 2 + size)
            pen.rectangle(box, fill=colours[k], outline="black")
        text = shortened(name, letters, width - x - size - 2 * gap)
        pen.text((x + size + gap, middle), text, fill="black", font=letters, anchor="lm")
    return np.array(canvas)


def caption(text: str, width: int) -> Image:
    """A line of ``text``, ``[h, width, 3]``."""
    canvas = PIL.Image.new("RGB", (width, 2 * LETTERS), "white")
    letters = font(LETTERS, text)
    PIL.ImageDraw.Draw(canvas).text((LETTERS // 2, LETTERS), text, fill="black", font=letters, anchor="lm")
    return np.array(canvas)


def draw_labels(image: Image, labels: Labels, classes: Sequence[str]) -> Image:
    """``image`` under the colours of its labels, above a legend whose letters grow with it.

    The result has the width of the picture, or more where that is too narrow for a legend.
    """
    height, width = image.shape[:2]
    drawn = overlaid(image, labels, classes)
    if width < LEAST_WIDTH:
        drawn = np.pad(drawn, ((0, 0), (0, LEAST_WIDTH - width), (0, 0)), constant_values=255)
    names = legend(classes, drawn.shape[1], max(LEAST_LETTERS, round(min(width, 2 * height) / 55)))
    return np.concatenate((drawn, names), axis=0)


def contact_sheet(images: Tensor, truths: Tensor, predicted: Tensor, classes: Sequence[str]) -> Image:
    """Truth beside prediction for every picture, as one, ``[height, width, 3]`` uint8.

    Args:
        images: ``[N, 3, H, W]`` uint8; the first eight are drawn.
        truths: ``[N, H, W]`` labels, 255 for none.
        predicted: the same of what was found.
        classes: names of the classes.
    """
    cells: list[Image] = []
    for image, truth, found in list(zip(images.cpu(), truths.cpu(), predicted.cpu(), strict=True))[:MOST_IMAGES]:
        picture = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        scale = CELL / max(picture.shape[:2])
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        pair = [
            np.asarray(cv2.resize(overlaid(picture, labels.numpy().astype(np.uint8), classes), size), np.uint8)
            for labels in (truth, found)
        ]
        cells.append(np.pad(np.concatenate(pair, axis=1), ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (len(cells) % 2)
    rows = [np.concatenate(cells[k : k + 2], axis=1) for k in range(0, len(cells), 2)]
    sheet = np.concatenate(rows, axis=0)
    return np.concatenate((sheet, caption(SIDES, sheet.shape[1]), legend(classes, sheet.shape[1])), axis=0)
