"""Recognition of a folder's format, and what is said about folders in none or in several."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.data import FolderDetection
from support.data.layouts import LAYOUTS, make_coco, write_image, write_images, write_text

OneSentence = Callable[..., None]


def recognise(root: Path, **options: Any) -> str:
    return FolderDetection(str(root), **options).format.describe()


@pytest.mark.parametrize(
    ("layout", "line"),
    [
        (
            "COCO",
            "train2017 (annotations/instances_train2017.json), val2017 (annotations/instances_val2017.json); "
            "classes of the JSON files",
        ),
        ("VOC beside images", "train (3 files in train), val (2 files in val); classes of the objects"),
        (
            "YOLO",
            "train (3 images in images/train, 2 with a label file), val (2 images in images/val, 2 with a label file); "
            "classes of data.yaml",
        ),
        ("LabelMe", "train (3 files in train), val (2 files in val); classes of the objects"),
        ("CVAT", "train (3 images of annotations.xml), val (2 images of annotations.xml); classes of annotations.xml"),
        (
            "Open Images",
            "train (oidv6-train-annotations-bbox.csv), validation (validation-annotations-bbox.csv); "
            "names of the classes from class-descriptions-boxable.csv",
        ),
    ],
)
def test_one_line_says_what_was_found(layout: str, line: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    assert recognise(tmp_path) == line


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pattern_selects_one_of_two_data_sets(layout: str, tmp_path: Path) -> None:
    """The folder also contains a data set in another format, or another version of the same."""
    LAYOUTS[layout](tmp_path / "new")
    LAYOUTS["VOC beside images" if "COCO" in layout else "Roboflow's COCO"](tmp_path / "old")
    with pytest.raises(DataError, match="choose with"):
        recognise(tmp_path)
    assert "new/" in recognise(tmp_path, annotations="new", images="new")


def test_two_formats_are_both_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    LAYOUTS["YOLO"](tmp_path)
    write_text(tmp_path / "train.json", make_coco("train"))
    with pytest.raises(DataError) as caught:
        recognise(tmp_path)
    assert_one_sentence(caught.value, "COCO (train.json)", "YOLO (images/train)", "--data.format=coco")
    assert recognise(tmp_path, format="yolo").startswith("train (3 images in images/train")


def prepare_nothing(root: Path) -> None: ...


def prepare_images(root: Path) -> None:
    write_images(root)


def prepare_archive(root: Path) -> None:
    write_images(root)
    write_text(root / "annotations_trainval2017.zip", "PK")


def prepare_table(root: Path) -> None:
    write_images(root)
    write_text(root / "boxes.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n")


def prepare_masks(root: Path) -> None:
    write_images(root)
    write_images(root, "masks/{split}")
    write_text(root / "classes.txt", "cat\n")


@pytest.mark.parametrize(
    ("prepare", "mentioned"),
    [
        (prepare_nothing, ["is empty", "--data.root"]),
        (prepare_images, ["contains 5 images and no annotations"]),
        (prepare_archive, ["annotations_trainval2017.zip", "unpack"]),
        (prepare_table, ["5 × .png", "1 × .csv", "images/"]),
        (prepare_masks, ["10 × .png", "1 × .txt"]),
    ],
)
def test_a_folder_in_no_format_is_described(
    prepare: Callable[[Path], None], mentioned: list[str], tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    prepare(tmp_path)
    with pytest.raises(DataError) as caught:
        recognise(tmp_path)
    assert_one_sentence(caught.value, tmp_path, *mentioned)


def test_an_unknown_format_lists_the_known(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "a.png", (8, 8))
    with pytest.raises(DataError) as caught:
        recognise(tmp_path, format="kitti")
    assert_one_sentence(caught.value, "kitti", "coco, voc, yolo, cvat, labelme, open_images")


def test_images_of_a_split_without_annotations_are_counted(tmp_path: Path) -> None:
    LAYOUTS["VOC beside images"](tmp_path)
    write_image(tmp_path / "test/z.png", (8, 8))
    assert FolderDetection(str(tmp_path)).format.notes == (f"{tmp_path}: 1 image in test without annotations.",)


@pytest.mark.parametrize("name", ["data.yaml", "classes.txt", "a.xml", "a.json", "a.csv", "a.txt"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("nowhere")], ids=["pipe", "dangling link"])
def test_pipes_and_dangling_links_are_not_read(name: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    LAYOUTS["YOLO beside images"](tmp_path)
    make(tmp_path / name)
    assert recognise(tmp_path).endswith("classes of train/classes.txt")
