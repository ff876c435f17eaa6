"""Drawn label maps: colours laid over a picture, a legend below it, contact sheets of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from torch import Tensor

from ...heads.predictions import IGNORED
from ..drawing import Colour, font, palette
from ..images import Image
from .masks import Labels

MOST_IMAGES = 8
CELL = 480  # pixels of the longer side of a picture on a sheet
GAP = 8
OPACITY = 0.55  # of the colours over a picture
GREY = (90, 90, 90)  # of what counts as no class
LETTERS = 14
MOST_NAMES = 64  # that a legend below a picture has


def coloured(labels: Labels, classes: int) -> Image:
    """Labels ``[H, W]`` as colours ``[H, W, 3]``; what counts as no class is grey."""
    table = np.empty((IGNORED + 1, 3), dtype=np.uint8)
    table[:] = GREY
    table[:classes] = palette(classes)
    return table[labels]


def overlaid(image: Image, labels: Labels, classes: int) -> Image:
    """``image`` ``[H, W, 3]`` under the colours of its labels ``[H, W]``."""
    colours = coloured(labels, classes)
    return np.asarray(cv2.addWeighted(image, 1 - OPACITY, colours, OPACITY, 0), dtype=np.uint8)


def legend(classes: Sequence[str], width: int) -> Image:
    """Names beside their colours in rows, ``[h, width, 3]``: the same for every picture of one width."""
    letters = font(LETTERS, "".join(classes))
    side, line = LETTERS, LETTERS + 10
    places: list[Place] = []
    x, y = GAP, GAP // 2
    for name, colour in zip(classes, palette(len(classes)), strict=True):
        extent = round(side + 6 + letters.getlength(name) + 2 * GAP)
        if x > GAP and x + extent > width:
            x, y = GAP, y + line
        places.append(Place(x, y, name, colour))
        x += extent
    canvas = PIL.Image.new("RGB", (width, y + line + GAP // 2), "white")
    pen = PIL.ImageDraw.Draw(canvas)
    for place in places:
        middle = place.y + line // 2
        pen.rectangle(
            (place.x, middle - side // 2, place.x + side, middle + side // 2), fill=place.colour, outline="black"
        )
        pen.text((place.x + side + 6, middle), place.name, fill="black", font=letters, anchor="lm")
    return np.array(canvas)


class Place(NamedTuple):
    """Where an entry of a legend stands."""

    x: int
    y: int
    name: str
    colour: Colour


def draw_labels(image: Image, labels: Labels, classes: Sequence[str]) -> Image:
    """``image`` under the colours of its labels, above a legend of the first 64 classes."""
    drawn = overlaid(image, labels, len(classes))
    return np.concatenate((drawn, legend(classes[:MOST_NAMES], drawn.shape[1])), axis=0)


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
            np.asarray(cv2.resize(overlaid(picture, labels.numpy().astype(np.uint8), len(classes)), size), np.uint8)
            for labels in (truth, found)
        ]
        cells.append(np.pad(np.concatenate(pair, axis=1), ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    cells += [np.full_like(cells[0], 255)] * (len(cells) % 2)
    rows = [np.concatenate(cells[k : k + 2], axis=1) for k in range(0, len(cells), 2)]
    sheet = np.concatenate(rows, axis=0)
    return np.concatenate((sheet, legend(classes[:MOST_NAMES], sheet.shape[1])), axis=0)
