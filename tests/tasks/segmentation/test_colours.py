"""Classes of a known data set have its usual colours, and all others the colours of a palette."""

from __future__ import annotations

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from litmobile.tasks.drawing import IGNORED_COLOUR, make_colour_table, make_palette
from litmobile.tasks.segmentation.cityscapes import LABEL_IDS
from litmobile.tasks.segmentation.colours import CAMVID as CAMVID_COLOURS
from litmobile.tasks.segmentation.colours import CITYSCAPES, class_colours, voc_colour
from litmobile.tasks.segmentation.folders import CAMVID
from litmobile.tasks.segmentation.voc import VOC


@pytest.mark.parametrize("name", LABEL_IDS)
def test_cityscapes_has_the_colours_of_its_scripts(name: str) -> None:
    assert CITYSCAPES[name] == name2label[name].color


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
def test_voc_has_the_colours_of_its_masks(name: str, colour: tuple[int, int, int]) -> None:
    assert class_colours(VOC)[VOC.index(name)] == colour


def test_the_border_value_of_voc_has_its_colour() -> None:
    assert voc_colour(255) == (224, 224, 192)


def test_camvid_classes_have_distinct_colours() -> None:
    assert tuple(CAMVID_COLOURS) == CAMVID
    assert len(set(class_colours(CAMVID))) == len(CAMVID)
    assert class_colours(CAMVID)[CAMVID.index("Pavement")] == (60, 40, 222)


@pytest.mark.parametrize("classes", [tuple(LABEL_IDS), CAMVID, VOC], ids=["Cityscapes", "CamVid", "VOC"])
def test_colours_depend_on_names_and_not_on_their_order(classes: tuple[str, ...]) -> None:
    assert class_colours(sorted(classes)) == [class_colours(classes)[classes.index(name)] for name in sorted(classes)]


@pytest.mark.parametrize("classes", [(), ("road",), ("road", "sky"), (*LABEL_IDS, "dog"), tuple(LABEL_IDS)[1:]])
def test_other_classes_have_the_colours_of_a_palette(classes: tuple[str, ...]) -> None:
    assert class_colours(classes) == make_palette(len(classes))


def test_a_colour_table_has_256_rows() -> None:
    table = make_colour_table(class_colours(tuple(LABEL_IDS)))
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert [tuple(row) for row in table[:19].tolist()] == list(CITYSCAPES.values())
    assert set(map(tuple, table[19:].tolist())) == {IGNORED_COLOUR}
