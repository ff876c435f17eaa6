"""Colours of classes in drawn label maps: the usual ones of known data sets, or a palette."""

from __future__ import annotations

from collections.abc import Sequence

from ..drawing import Colour, make_palette
from .voc import VOC

#: from cityscapesScripts
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
#: of SegNet's eleven classes (arXiv 1511.00561)
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
    """Returns the colour of a ``value`` in Pascal VOC's masks.

    The bits of the value go to red, green and blue in turn, and the lowest bits weigh most.
    """
    red, green, blue = (
        sum((value >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


#: colours by class name of each known data set
KNOWN_DATA_SETS = (CITYSCAPES, CAMVID, {name: voc_colour(k) for k, name in enumerate(VOC)})


def class_colours(classes: Sequence[str]) -> list[Colour]:
    """Returns a colour for each class: those of a known data set if it has exactly these classes, in any order."""
    for colours in KNOWN_DATA_SETS:
        if set(classes) == set(colours):
            return [colours[name] for name in classes]
    return make_palette(len(classes))
