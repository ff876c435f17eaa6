"""Colours of classes in drawn label maps: those of a known data set, or a palette."""

from __future__ import annotations

from collections.abc import Sequence

from ..drawing import Colour, make_palette
from .data_sets.known_classes import CAMVID_COLOURS, CITYSCAPES_COLOURS, VOC_CLASSES


def voc_colour(value: int) -> Colour:
    """Returns the colour of a ``value`` in Pascal VOC's masks.

    The bits of the value go to red, green and blue in turn; the lowest bits of the value are the highest of a channel.
    """
    red, green, blue = (
        sum((value >> (3 * place + channel) & 1) << (7 - place) for place in range(8)) for channel in range(3)
    )
    return red, green, blue


#: colours by class name of each known data set
KNOWN_DATA_SETS = (CITYSCAPES_COLOURS, CAMVID_COLOURS, {name: voc_colour(k) for k, name in enumerate(VOC_CLASSES)})


def class_colours(classes: Sequence[str]) -> list[Colour]:
    """Returns a colour for each class: those of a known data set if it has exactly these classes, in any order."""
    for colours in KNOWN_DATA_SETS:
        if set(classes) == set(colours):
            return [colours[name] for name in classes]
    return make_palette(len(classes))
