"""Classes of a data set that is known by its colours are drawn in them."""

from __future__ import annotations

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label

from litmobile.tasks.drawing import palette
from litmobile.tasks.segmentation.cityscapes import LABEL_IDS
from litmobile.tasks.segmentation.colours import CAMVID as CAMVID_COLOURS
from litmobile.tasks.segmentation.colours import CITYSCAPES, NO_CLASS, class_colours, colour_table, voc_colour
from litmobile.tasks.segmentation.folders import CAMVID
from litmobile.tasks.segmentation.voc import VOC


@pytest.mark.parametrize("name", LABEL_IDS)
def test_cityscapes_classes_have_the_colours_of_its_own_scripts(name: str) -> None:
    assert CITYSCAPES[name] == name2label[name].color


@pytest.mark.parametrize(
    ("name", "colour"),
    # as the development kit's documentation lists them
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
def test_voc_classes_have_the_colours_of_its_masks(name: str, colour: tuple[int, int, int]) -> None:
    assert class_colours(VOC)[VOC.index(name)] == colour


def test_the_border_of_vocs_objects_has_its_colour_as_well() -> None:
    assert voc_colour(255) == (224, 224, 192)


def test_camvids_classes_have_colours_of_their_own() -> None:
    assert tuple(CAMVID_COLOURS) == CAMVID
    assert len(set(class_colours(CAMVID))) == len(CAMVID)
    assert class_colours(CAMVID)[CAMVID.index("Pavement")] == (60, 40, 222)


@pytest.mark.parametrize("classes", [tuple(LABEL_IDS), CAMVID, VOC], ids=["Cityscapes", "CamVid", "VOC"])
def test_colours_go_with_names_not_with_places(classes: tuple[str, ...]) -> None:
    assert class_colours(sorted(classes)) == [class_colours(classes)[classes.index(name)] for name in sorted(classes)]


@pytest.mark.parametrize("classes", [(), ("road",), ("road", "sky"), (*LABEL_IDS, "dog"), tuple(LABEL_IDS)[1:]])
def test_other_classes_are_told_apart_by_hue(classes: tuple[str, ...]) -> None:
    assert class_colours(classes) == palette(len(classes))


def test_a_table_has_every_value_of_a_byte() -> None:
    table = colour_table(tuple(LABEL_IDS))
    assert table.shape == (256, 3) and table.dtype == np.uint8
    assert [tuple(row) for row in table[:19].tolist()] == list(CITYSCAPES.values())
    assert set(map(tuple, table[19:].tolist())) == {NO_CLASS}
