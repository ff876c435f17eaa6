"""LabelMe's JSON files: shapes, names of images, and what is refused."""

from __future__ import annotations

import json
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

BOX: dict[str, Any] = {"label": "cat", "points": [[40, 15], [60, 35]], "shape_type": "rectangle", "flags": {}}


def write_labelme(root: Path, *shapes: Any, name: str = "images/a.json", **values: Any) -> Path:
    """Write the image a with ``shapes`` after a box; ``values`` replace those of the file."""
    content = {"version": "5", "shapes": [BOX, *shapes], "imagePath": "a.png", "imageHeight": 50, "imageWidth": 100}
    write_text(root / name, json.dumps(content | values))
    write_image(root / "images/a.png", (50, 100))
    return root / name


def read(root: Path, split: str = "train", **options: Any) -> DetectionSplit:
    return FolderDetection(str(root), **options).read_stored(split)


@pytest.mark.parametrize(
    ("kind", "points", "box"),
    [
        ("rectangle", [[60, 15], [40, 35.5]], [40, 15, 60, 35.5]),
        ("rectangle", [[40, 15], [60, 15], [60, 35], [40, 35]], [40, 15, 60, 35]),
        ("polygon", [[10, 20], [30, 5], [20, 40]], [10, 5, 30, 40]),
        (None, [[10, 20], [30, 5], [20, 40]], [10, 5, 30, 40]),
        ("circle", [[50, 25], [53, 29]], [45, 20, 55, 30]),
        ("mask", [[5, 6], [11, 13]], [5, 6, 12, 14]),
        ("rotation", [[50, 5], [70, 25], [50, 45], [30, 25]], [30, 5, 70, 45]),
    ],
)
def test_shapes_become_boxes(kind: str | None, points: list[Any], box: list[float], tmp_path: Path) -> None:
    write_labelme(tmp_path, {"label": "cat", "points": points, "shape_type": kind, "group_id": 3})
    np.testing.assert_allclose(read(tmp_path).objects(0)[0][1], box)


def test_shapes_without_a_box_are_left_out_with_a_note(tmp_path: Path) -> None:
    others = [BOX | {"shape_type": kind} for kind in ("line", "linestrip", "point", "points")]
    write_labelme(tmp_path, *others, *(BOX | {"label": name} for name in ("__ignore__", "_background_")))
    split = read(tmp_path)
    assert split.classes == ("cat",) and len(split.labels) == 1
    for words in ("1 shape of the kind linestrip", "1 shape called __ignore__", "1 shape called _background_"):
        assert words in split.notes[0]


@pytest.mark.parametrize("path", ["b.png", "..\\pictures\\b.png", "../pictures/b.png", "C:\\my data\\b.png"])
def test_the_image_may_have_another_name(path: str, tmp_path: Path) -> None:
    write_image(tmp_path / "pictures/b.png", (50, 100))
    write_labelme(tmp_path, name="labels of mine/1.json", imagePath=path)
    (tmp_path / "images/a.png").unlink()
    split = read(tmp_path)
    assert split.path(0) == tmp_path / "pictures/b.png"


@pytest.mark.parametrize(
    "values", [{"imageHeight": None}, {"imageWidth": 0}, {"imageHeight": "50", "imageWidth": 100.0}]
)
def test_sizes_are_derived_where_possible(values: dict[str, Any], tmp_path: Path) -> None:
    write_labelme(tmp_path, **values)
    assert read(tmp_path).size(0) == (50, 100)


INVALID: dict[str, tuple[Any, str]] = {
    "not a shape": ("cat", "'cat' instead of a shape"),
    "no label": (BOX | {"label": None}, "the label None"),
    "line break": (BOX | {"label": "a\nb"}, "the label 'a\\nb'"),
    "one point": (BOX | {"points": [[1, 2]]}, "1 point"),
    "flat points": (BOX | {"points": [1, 2, 3, 4]}, "[1, 2, 3, 4]"),
    "no points": ({"label": "cat"}, "the points None"),
    "nan": (BOX | {"points": [[1, 2], [float("nan"), 3]]}, "nan"),
    "word": (BOX | {"points": [[1, 2], ["x", 3]]}, "'x'"),
    "unknown shape": (BOX | {"shape_type": "blob"}, "'blob'"),
    "shape of another type": (BOX | {"shape_type": [1]}, "[1]"),
    "unlisted": (BOX | {"label": "cow"}, "the class cow, which classes.txt does not list"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_shape_is_named_or_left_out(case: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    shape, mentioned = INVALID[case]
    file = write_labelme(tmp_path, shape)
    write_text(tmp_path / "classes.txt", "cat\na\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "object 2", mentioned)
    split = read(tmp_path, on_invalid="skip")
    assert len(split.labels) == 1
    assert split.notes == (f"Left out: {caught.value}",)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ('{"version": "5", "shapes": [', "not a JSON file"),
        ('{"version": "5"', "not a JSON file"),
        ('{"shapes": {}}', "'shapes'"),
        ('["shapes"]', "list instead of a dictionary"),
        ('{"shapes": [], "imageHeight": "tall"}', "imageHeight 'tall'"),
        ("", "not a JSON file"),
    ],
)
def test_invalid_files_are_named(text: str, mentioned: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_labelme(tmp_path)
    write_image(tmp_path / "images/b.png", (50, 100))
    write_text(tmp_path / "images/b.json", text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "images/b.json", mentioned)
    assert [str(name) for name in read(tmp_path, on_invalid="skip").names] == ["images/a.png"]


def test_a_missing_image_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_labelme(tmp_path)
    (tmp_path / "images/a.png").rename(tmp_path / "images/b.png")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "no image called a")


def test_images_that_are_not_annotated_yet_are_counted(tmp_path: Path) -> None:
    write_labelme(tmp_path)
    write_image(tmp_path / "images/b.png", (50, 100))
    split = read(tmp_path)
    assert len(split) == 1
    assert "1 image without annotations left out" in split.notes[0]


def test_other_json_files_are_not_read(tmp_path: Path) -> None:
    write_labelme(tmp_path)
    write_text(tmp_path / "notes.json", '{"version": 1')
    assert len(read(tmp_path)) == 1
