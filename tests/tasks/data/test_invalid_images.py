"""Broken images of every task are found when the data is set up, before the first step."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import FolderClassification
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.detection import CocoDetection, DetectionSplit, ImageRecord
from litmobile.tasks.segmentation import FolderSegmentation
from litmobile.tools.sample_data import write_shapes
from support.data.images import write_class_folders
from support.data.segmentation import make_stripes, write_image, write_mask, write_split

TASKS = ("classification", "detection", "segmentation")


def make_data(root: Path, task: str, **options: Any) -> tuple[DataModule[Any], Path]:
    """Data with training and validation images, and the file of a validation image."""
    if task == "classification":
        for split in ("train", "val"):
            write_class_folders(root / split, 4)
        return FolderClassification(str(root), num_workers=0, **options), root / "val" / "dark" / "0.png"
    if task == "segmentation":
        write_split(write_split(root, "train", 4), "val", 4)
        return FolderSegmentation(str(root), num_workers=0, **options), root / "images" / "val" / "0.png"
    write_shapes(root, train=4, val=4)
    data = CocoDetection(str(root), train="train", val="val", num_workers=0, **options)
    return data, min((root / "val").glob("*.jpg"))


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("task", TASKS)
def test_a_broken_val_image_stops_the_setup(
    tmp_path: Path, task: str, assert_one_sentence: Callable[..., None]
) -> None:
    data, file = make_data(tmp_path / "set", task)
    truncate(file)
    with pytest.raises(DataError) as caught:
        data.setup("fit")
    assert_one_sentence(caught.value, "1 of 4 images", file, "--data.on_invalid=skip", "litmobile inspect")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("verify_images", [True, False])
def test_skip_leaves_out_broken_images(
    tmp_path: Path, task: str, verify_images: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data, file = make_data(tmp_path / "set", task, on_invalid="skip", verify_images=verify_images)
    truncate(file)
    data.setup("fit")
    assert (len(data.splits["train"]), len(data.splits["val"])) == (4, 3)
    assert str(file) in caplog.text


@pytest.mark.parametrize("task", TASKS)
def test_unverified_images_are_not_read_before_training(tmp_path: Path, task: str) -> None:
    data, file = make_data(tmp_path / "set", task, verify_images=False)
    if task != "segmentation":  # which reads some images to see whether the masks fit
        truncate(file)
    data.setup("fit")
    assert len(data.splits["val"]) == 4


@pytest.mark.parametrize("fault", ["size", "value", "damage"])
def test_broken_masks_stop_the_setup(tmp_path: Path, fault: str, assert_one_sentence: Callable[..., None]) -> None:
    data, _ = make_data(tmp_path / "set", "segmentation", classes=["a", "b", "c"])
    mask = tmp_path / "set" / "masks" / "val" / "2.png"
    if fault == "damage":
        truncate(mask)
    else:
        write_mask(mask, make_stripes((0, 1), 9, 9) if fault == "size" else make_stripes((0, 77)))
    for _ in range(2):  # errors are found again with a cache
        with pytest.raises(DataError) as caught:
            data.setup("fit")
        assert_one_sentence(caught.value, "1 of 4 images", mask)


def test_a_mask_is_checked_for_each_list_of_classes(tmp_path: Path) -> None:
    """A cache of masks that were read with three classes says nothing about two."""
    root = write_split(write_split(tmp_path / "set", "train", 2), "val", 2)
    FolderSegmentation(str(root), classes=["a", "b", "c"]).setup("fit")
    with pytest.raises(DataError, match="holds the value 2"):
        FolderSegmentation(str(root), classes=["a", "b"]).setup("fit")


def test_no_usable_image_is_an_error(tmp_path: Path) -> None:
    data, file = make_data(tmp_path / "set", "segmentation", on_invalid="skip")
    for path in file.parent.iterdir():
        truncate(path)
    with pytest.raises(DataError, match=r"None of 4 images of .* can be used"):
        data.setup("fit")


@pytest.mark.parametrize(("orientation", "doubtful"), [(1, False), (2, True), (3, True), (6, False)])
def test_doubtful_orientations_are_counted(
    tmp_path: Path, orientation: int, doubtful: bool, caplog: pytest.LogCaptureFixture
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    records = [ImageRecord("a.jpg", (20, 30), [(0, 0, 9, 9)], [0])]

    class Data(CocoDetection):
        def read(self, split: str) -> DetectionSplit:
            return DetectionSplit.from_records(tmp_path / "list", tmp_path, ["cat"], records)

    Data(str(tmp_path)).setup("validate")
    assert ("list: 1 image with an orientation that annotations cannot tell" in caplog.text) == doubtful


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_near_duplicates_are_kept_in_one_part(tmp_path: Path, task: str) -> None:
    root = tmp_path / "set"
    for number in range(20):
        if task == "classification":
            write_image(root / "ab"[number % 2] / f"{number}.png", number // 4, 16, 20)
        else:
            write_image(root / "images" / f"{number}.png", number // 2)
            write_mask(root / "masks" / f"{number}.png", make_stripes((0, 1)))
    options: dict[str, Any] = {"val_fraction": 0.3, "num_workers": 0}
    kind = FolderClassification if task == "classification" else FolderSegmentation

    def read(name: str) -> list[int]:
        return sorted(int(Path(file).stem) for file in data.splits[name].names)

    data = kind(str(root), **options)
    data.setup("fit")
    train, val = read("train"), read("val")
    size = 4 if task == "classification" else 2
    assert {k // size for k in train}.isdisjoint(k // size for k in val) and 4 <= len(val) <= 8
    assert "groups of near-duplicates kept together: " in data.splits["val"].notes[0]
    data = kind(str(root), **options)
    data.setup("fit")
    assert (read("train"), read("val")) == (train, val)
