"""CVAT's XML files for images: shapes, subsets, labels, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import write_image, write_text

OneSentence = Callable[..., None]

BOX = '<box label="cat" xtl="40" ytl="15" xbr="60" ybr="35"/>'
LABELS = "<labels><label><name>dog</name></label><label><name>cat</name></label></labels>"


def write_cvat(root: Path, *shapes: str, meta: str = "", attributes: str = 'height="50" width="100"') -> Path:
    """Write the image a with ``shapes`` after a box."""
    image = f'<image name="a.png" {attributes}>{BOX}{"".join(shapes)}</image>'
    write_text(root / "annotations.xml", f"<annotations>{meta}{image}</annotations>")
    write_image(root / "images/a.png", (50, 100))
    return root / "annotations.xml"


def read(root: Path, split: str = "train", **options: Any) -> DetectionSplit:
    return FolderDetection(str(root), **options).read_stored(split)


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ('<box label="cat" xtl="1.5" ytl="2" xbr="9" ybr="7" occluded="1" outside="0" z_order="3"/>', [1.5, 2, 9, 7]),
        ('<box label="cat" xtl="40" ytl="20" xbr="60" ybr="30" rotation="90.0"/>', [45, 15, 55, 35]),
        ('<box label="cat" xtl="40" ytl="20" xbr="50" ybr="30" rotation="45"/>', [37.929, 17.929, 52.071, 32.071]),
        ('<polygon label="cat" points="10,20;30.5,5;20,40"/>', [10, 5, 30.5, 40]),
        ('<ellipse label="cat" cx="50" cy="25" rx="20" ry="10"/>', [30, 15, 70, 35]),
        ('<ellipse label="cat" cx="50" cy="25" rx="20" ry="10" rotation="270"/>', [40, 5, 60, 45]),
        ('<mask label="cat" rle="3, 4" left="5" top="6" width="7" height="8"/>', [5, 6, 12, 14]),
    ],
    ids=["box", "box turned by 90°", "box turned by 45°", "polygon", "ellipse", "turned ellipse", "mask"],
)
def test_shapes_become_boxes(shape: str, box: list[float], tmp_path: Path) -> None:
    write_cvat(tmp_path, shape)
    np.testing.assert_allclose(read(tmp_path).objects(0)[0][1], box, atol=1e-3)


def test_shapes_without_a_box_are_left_out_with_a_note(tmp_path: Path) -> None:
    kinds = ("polyline", "points", "skeleton", "cuboid", "tag")
    write_cvat(tmp_path, *(f'<{kind} label="cat"/>' for kind in kinds), BOX.replace("/>", ' outside="1"/>'))
    split = read(tmp_path)
    assert len(split.labels) == 1
    assert all(f"1 shape of the kind {kind}" in split.notes[0] for kind in kinds)
    assert "1 shape outside of the image" in split.notes[0]


@pytest.mark.parametrize("place", ["task", "project", "job"])
def test_labels_give_the_classes_and_their_order(place: str, tmp_path: Path) -> None:
    extra = "<label><name>nose</name><type>points</type></label><label><name>x</name><parent>cat</parent></label>"
    labels = LABELS.replace("</labels>", f"{extra}<label><name>background</name></label></labels>")
    write_cvat(tmp_path, meta=f"<meta><{place}>{labels}</{place}></meta>")
    split = read(tmp_path)
    assert split.classes == ("dog", "cat")
    assert split.labels.tolist() == [1]


INVALID = {
    "no coordinate": (BOX.replace('xtl="40"', ""), "no xtl"),
    "word": (BOX.replace("40", "left"), "'left'"),
    "nan": (BOX.replace("40", "nan"), "'nan'"),
    "no label": (BOX.replace("cat", ""), "no label"),
    "unlisted label": (BOX.replace("cat", "cow"), "the class cow"),
    "two points": ('<polygon label="cat" points="1,2;3,4"/>', "'1,2;3,4'"),
    "cut points": ('<polygon label="cat" points="1,2;3,4;5"/>', "'1,2;3,4;5'"),
    "unknown shape": ('<blob label="cat"/>', "<blob>"),
    "unknown word for outside": (BOX.replace("/>", ' outside="maybe"/>'), "'maybe'"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_shape_is_named_or_left_out(case: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    shape, mentioned = INVALID[case]
    file = write_cvat(tmp_path, shape, meta=f"<meta><task>{LABELS}</task></meta>")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "image a.png", "object 2", mentioned)
    split = read(tmp_path, on_invalid="skip")
    assert split.labels.tolist() == [1]
    assert split.notes == (f"Left out: {caught.value}",)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("<annotations><track id='0' label='cat'/></annotations>", "CVAT for images"),
        ("<annotations><version>1.1</version></annotations>", "no <image>"),
        ("<annotations><image name='a.png'><box ", "not an XML file"),
        ("<annotations><image name='b.png'/></annotations>", "image b.png is not in the folder"),
        ("<annotations><image name='x/a.png'/></annotations>", "image x/a.png is not in the folder"),
        ("<annotations><image name='a.png' height='many'/></annotations>", "the height 'many'"),
        ("<annotations><image/></annotations>", "is not in the folder"),
    ],
)
def test_invalid_files_are_named(text: str, mentioned: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_cvat(tmp_path)
    write_text(file, text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, mentioned)


def test_images_that_the_file_does_not_name_are_counted(tmp_path: Path) -> None:
    write_cvat(tmp_path)
    write_image(tmp_path / "images/b.png", (50, 100))
    assert "1 image without annotations left out" in read(tmp_path).notes[0]


def test_a_missing_size_is_that_of_the_image(tmp_path: Path) -> None:
    write_cvat(tmp_path, attributes="")
    assert read(tmp_path).size(0) == (50, 100)


def test_subsets_are_splits_and_sub_folders_are_kept(tmp_path: Path) -> None:
    names = {"Train": "cam1/0.png", "Validation": "cam2/0.png"}
    for name in names.values():
        write_image(tmp_path / "images" / name, (50, 100))
    images = "".join(f'<image name="{name}" subset="{subset}">{BOX}</image>' for subset, name in names.items())
    write_text(tmp_path / "annotations.xml", f"<annotations>{images}</annotations>")
    for split, name in (("train", "cam1/0.png"), ("val", "cam2/0.png")):
        data = read(tmp_path, split)
        assert [data.path(k) for k in range(len(data))] == [tmp_path / "images" / name]
