"""Pascal VOC's files as other programs write and arrange them."""

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

BOX = "<bndbox><xmin>41</xmin><ymin>16</ymin><xmax>60</xmax><ymax>35</ymax></bndbox>"
OBJECT = f"<object><name>cat</name>{BOX}</object>"


def write_voc(root: Path, *objects: str, folder: str = "Annotations", name: str = "a.png") -> Path:
    """Write the image a with ``objects`` after a box."""
    text = f"<annotation><filename>{name}</filename>{OBJECT}{''.join(objects)}</annotation>"
    write_text(root / folder / "a.xml", text)
    write_image(root / "JPEGImages/a.png", (50, 100))
    return root / folder / "a.xml"


def read(root: Path, split: str = "train", **options: Any) -> DetectionSplit:
    return FolderDetection(str(root), **options).read_stored(split)


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_of_a_folder_without_splits_is_refused(
    split: str, tmp_path: Path, assert_one_sentence: Callable[..., None]
) -> None:
    write_voc(tmp_path)
    with pytest.raises(DataError) as refused:
        read(tmp_path, split, train="train2017", val="val2017")
    assert_one_sentence(refused.value, "no splits", "--data.train=null", "--data.val=null")


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        (f"{BOX}<polygon><x1>1</x1><y1>1</y1></polygon>", [40, 15, 60, 35]),
        ("<polygon><x1>41</x1><y1>16</y1><x2>60</x2><y2>16</y2><x3>50</x3><y3>35</y3></polygon>", [40, 15, 60, 35]),
        (
            "<polygon><pt><x>41</x><y>16</y></pt><pt><x>60</x><y>20</y></pt><pt><x>50</x><y>35</y></pt></polygon>",
            [40, 15, 60, 35],
        ),
        ("<robndbox><cx>50.5</cx><cy>25.5</cy><w>19</w><h>9</h><angle>0</angle></robndbox>", [40, 20, 60, 30]),
        ("<robndbox><cx>50.5</cx><cy>25.5</cy><w>19</w><h>9</h><angle>1.5707963</angle></robndbox>", [45, 15, 55, 35]),
    ],
    ids=["box and polygon", "Roboflow's polygon", "points", "rotated box", "rotated box of 90°"],
)
def test_shapes_become_boxes(shape: str, box: list[float], tmp_path: Path) -> None:
    write_voc(tmp_path, f"<object><name>cat</name>{shape}</object>")
    np.testing.assert_allclose(read(tmp_path).objects(0)[0][1], box, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "mentioned"),
    [
        ("", "<bndbox>/<xmin>"),
        (BOX.replace("41", "left"), "'left'"),
        ("<polygon><x1>1</x1><y1>1</y1><x2>2</x2></polygon>", "2 values of x and 1 of y"),
        ("<polygon><x1>a</x1><y1>1</y1></polygon>", "'a'"),
        ("<robndbox><cx>50</cx></robndbox>", "no <cy>"),
        (f"{BOX}<difficult>perhaps</difficult>", "'perhaps'"),
    ],
)
def test_an_invalid_object_is_named_or_left_out(
    shape: str, mentioned: str, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    file = write_voc(tmp_path, f"<object><name>cat</name>{shape}</object>")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "object 2", mentioned)
    assert len(read(tmp_path, on_invalid="skip").labels) == 1


@pytest.mark.parametrize("folder", ["SegmentationClass", "masks", "my_labels"])
@pytest.mark.parametrize("name", ["a.jpg", "wrong.jpg"])
def test_masks_of_the_same_name_are_not_the_image(folder: str, name: str, tmp_path: Path) -> None:
    write_voc(tmp_path, name=name)
    write_image(tmp_path / folder / "a.png", (9, 9))
    split = read(tmp_path)
    assert split.path(0) == tmp_path / "JPEGImages/a.png"


def test_a_file_that_may_describe_two_images_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_voc(tmp_path, name="wrong.png")
    write_image(tmp_path / "photos/a.png", (50, 100))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "JPEGImages/a.png", "photos/a.png")


def test_a_class_list_orders_the_classes(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_voc(tmp_path, OBJECT.replace("cat", "ant"))
    labels = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:128,0,0::\nbee:0,1,0::\nant:0,0,1::\n"
    write_text(tmp_path / "labelmap.txt", labels)
    split = read(tmp_path)
    assert split.classes == ("cat", "bee", "ant")
    assert split.labels.tolist() == [0, 2]
    write_text(tmp_path / "labelmap.txt", labels.replace("ant", "aunt"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "the class ant", "labelmap.txt")


def test_lists_of_single_classes_are_not_splits(tmp_path: Path) -> None:
    write_voc(tmp_path)
    for name, text in (("train", "a\n"), ("cat_train", "a  1\n"), ("small_train", "a\n")):
        write_text(tmp_path / f"ImageSets/Main/{name}.txt", text)
    assert list(FolderDetection(str(tmp_path)).format.splits) == ["small_train", "train"]


def test_a_listed_file_that_is_missing_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_voc(tmp_path)
    write_text(tmp_path / "ImageSets/Main/train.txt", "a\ngone\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "Annotations/gone.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_declared_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    file = write_voc(tmp_path)
    text = f'<?xml version="1.0" encoding="{encoding}"?>{file.read_text().replace("cat", "Käfer")}'
    file.write_bytes(text.encode(encoding))
    assert read(tmp_path).classes == ("Käfer",)


def test_an_undeclared_encoding_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_voc(tmp_path)
    file.write_bytes(file.read_text().replace("cat", "Käfer").encode("latin-1"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "not an XML file")


def write_numbered(root: Path, names: list[str]) -> None:
    """Write images and their XML files."""
    for name in names:
        write_text(root / f"Annotations/{name}.xml", f"<annotation>{OBJECT}</annotation>")
        write_image(root / f"JPEGImages/{name}.png", (50, 100))


@pytest.mark.parametrize("number", ["2008_00000{}", "00000{}", "{}"])
def test_lists_of_classes_are_not_labels_of_yolo(number: str, tmp_path: Path) -> None:
    names = [number.format(k) for k in range(4)]
    write_numbered(tmp_path, names)
    for split, own in (("train", names[:3]), ("val", names[3:])):
        write_text(tmp_path / f"ImageSets/Main/{split}.txt", "\n".join(own))
        write_text(tmp_path / f"ImageSets/Main/cat_{split}.txt", "\n".join(f"{name} -1" for name in own))
        write_text(tmp_path / f"ImageSets/Action/running_{split}.txt", "\n".join(f"{name} 1  1" for name in own))
    assert [len(read(tmp_path, split)) for split in ("train", "val")] == [3, 1]


@pytest.mark.parametrize("folder", ["ImageSets/Main", "ImageSets", "."])
@pytest.mark.parametrize("line", ["{}", "{}.png", "JPEGImages/{}.png", "./Annotations/{}.xml", "{} 1"])
def test_lists_name_the_images_of_splits(folder: str, line: str, tmp_path: Path) -> None:
    write_numbered(tmp_path, list("abcd"))
    for split, own in (("train", "aabc"), ("val", "d")):
        write_text(tmp_path / folder / f"{split}.txt", "\n".join(line.format(name) for name in own))
    assert [len(read(tmp_path, split)) for split in ("train", "val")] == [3, 1]


def test_lists_without_known_images_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_numbered(tmp_path, ["a"])
    write_text(tmp_path / "ImageSets/Main/train.txt", "b\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path, "ImageSets/Main")
