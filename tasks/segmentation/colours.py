"""Colours of classes in drawn label maps: those that a data set is known by, or else told apart by hue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...heads.predictions import IGNORED
from ..drawing import Colour, palette
from .voc import VOC

NO_CLASS: Colour = (255, 255, 255)  # white, which no known data set draws a class in
#: as the data's own scripts draw them
CITYSCAPES: dict[str, Colour] = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
#: as SegNet's authors draw the eleven (arXiv 1511.00561)
CAMVID: dict[str, Colour] = {
    "Sky": (128, 128, 128),
    "Building": (128, 0, 0),
    "Pole": (192, 192, 128),
    "Road": (128, 64, 128),
    "Pavement": (60, 40, 222),
    "Tree": (128, 128, 0),
    "SignSymbol": (192, 128, 128),
    "Fence": (64, 64, 128),
    "Car": (64, 0, 128),
    "Pedestrian": (64, 64, 0),
    "Bicyclist": (0, 128, 192),
}


def voc_colour(value: int) -> Colour:
    """The colour of a value in Pascal VOC's masks: its bits in turn for red, green and blue, the lowest weigh most."""
    red, green, blue = (
        sum((value >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


#: colours by class of the data sets that are known by them
FAMILIAR = (CITYSCAPES, CAMVID, {name: voc_colour(k) for k, name in enumerate(VOC)})


def class_colours(classes: Sequence[str]) -> list[Colour]:
    """A colour for each of ``classes``: those of a known data set where they are exactly its classes, in any order."""
    for familiar in FAMILIAR:
        if set(classes) == set(familiar):
            return [familiar[name] for name in classes]
    return palette(len(classes))


def colour_table(classes: Sequence[str]) -> NDArray[np.uint8]:
    """The colours of all labels of a byte, ``[256, 3]``; what counts as no class is white."""
    table = np.empty((IGNORED + 1, 3), dtype=np.uint8)
    table[:] = NO_CLASS
    table[: len(classes)] = class_colours(classes)
    return table
