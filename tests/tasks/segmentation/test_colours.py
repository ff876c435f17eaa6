"""Classes of known data sets have their usual colours, others those of a palette."""

from __future__ import annotations

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from litmobile.tasks.drawing import IGNORED_COLOUR, make_colour_table, make_palette
from litmobile.tasks.segmentation.colours import class_colours, voc_colour
from litmobile.tasks.segmentation.data_sets.known_classes import (
    CAMVID_COLOURS,
    CITYSCAPES_COLOURS,
    LABEL_IDS,
    VOC_CLASSES,
)

CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree"),
    *("SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)


@pytest.mark.parametrize("name", LABEL_IDS)
def test_cityscapes_colours_equal_cityscapesscripts(name: str) -> None:
    assert CITYSCAPES_COLOURS[name] == name2label[name].color


@pytest.mark.parametrize(
    ("name", "colour"),
    # from the documentation of the development kit
    [
        ("background", (0, 0, 0)),
        ("aeroplane", (128, 0, 0)),
        ("boat", (0, 0, 128)),
        ("chair", (192, 0, 0)),
        ("person", (192, 128, 128)),
        ("pottedplant", (0, 64, 0)),
        ("tvmonitor", (0, 64, 128)),
    ],
)
def test_voc_colours_equal_its_documentation(name: str, colour: tuple[int, int, int]) -> None:
    assert class_colours(VOC_CLASSES)[VOC_CLASSES.index(name)] == colour


def test_voc_borders_have_their_colour() -> None:
    assert voc_colour(255) == (224, 224, 192)


def test_camvid_classes_have_distinct_colours() -> None:
    assert tuple(CAMVID_COLOURS) == CAMVID
    assert len(set(class_colours(CAMVID))) == len(CAMVID)
    assert class_colours(CAMVID)[CAMVID.index("Pavement")] == (60, 40, 222)


@pytest.mark.parametrize("classes", [tuple(LABEL_IDS), CAMVID, VOC_CLASSES], ids=["Cityscapes", "CamVid", "VOC"])
def test_colours_depend_on_names_and_not_on_their_order(classes: tuple[str, ...]) -> None:
    assert class_colours(sorted(classes)) == [class_colours(classes)[classes.index(name)] for name in sorted(classes)]


@pytest.mark.parametrize("classes", [(), ("road",), ("road", "sky"), (*LABEL_IDS, "dog"), tuple(LABEL_IDS)[1:]])
def test_other_classes_take_palette_colours(classes: tuple[str, ...]) -> None:
    assert class_colours(classes) == make_palette(len(classes))


def test_a_colour_table_has_256_rows() -> None:
    table = make_colour_table(class_colours(tuple(LABEL_IDS)))
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert [tuple(row) for row in table[:19].tolist()] == list(CITYSCAPES_COLOURS.values())
    assert set(map(tuple, table[19:].tolist())) == {IGNORED_COLOUR}
