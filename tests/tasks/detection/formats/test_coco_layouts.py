"""COCO's files as other programs name and arrange them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import LAYOUTS, make_coco, write_images, write_text

OneSentence = Callable[..., None]

PANOPTIC = {"annotations": [{"image_id": 0, "segments_info": [{"id": 1, "category_id": 1}], "file_name": "a.png"}]}


def read(root: Path, split: str = "train") -> DetectionSplit:
    return FolderDetection(str(root)).read_stored(split)


@pytest.mark.parametrize("folder", ["images", "photos/left", "."])
@pytest.mark.parametrize("file", ["boxes.json", "images/boxes.json", "a/b/instances_default.json"])
def test_images_are_found_in_any_folder(folder: str, file: str, tmp_path: Path) -> None:
    write_images(tmp_path, folder)
    write_text(tmp_path / file, make_coco())
    assert len(read(tmp_path)) == 5


@pytest.mark.parametrize("prefix", ["{split}\\", "/home/me/images/{split}/", "images/{split}/"])
def test_file_names_may_have_folders(prefix: str, tmp_path: Path) -> None:
    write_images(tmp_path)
    write_text(tmp_path / "boxes.json", make_coco(prefix=prefix))
    split = read(tmp_path)
    assert split.path(0) == tmp_path / "images/train/a b.png"
    assert split.image(0).shape == (40, 80, 3)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("panoptic_train.json", json.loads(make_coco("train")) | PANOPTIC),
        ("detections.json", [{"image_id": 0, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]),
        ("captions_train.json", {"images": [], "annotations": []}),
        ("person_keypoints_train.json", json.loads(make_coco("train"))),
        ("package.json", {"name": "images"}),
    ],
)
def test_other_json_files_are_not_read(name: str, content: object, tmp_path: Path) -> None:
    LAYOUTS["COCO with images/SPLIT"](tmp_path)
    write_text(tmp_path / "annotations" / name, json.dumps(content))
    form = FolderDetection(str(tmp_path)).format
    assert form.splits == {split: f"annotations/instances_{split}.json" for split in ("train", "val")}


def test_a_panoptic_file_alone_is_not_a_detection_file(tmp_path: Path) -> None:
    write_images(tmp_path)
    write_text(tmp_path / "panoptic.json", json.dumps(json.loads(make_coco()) | PANOPTIC))
    with pytest.raises(DataError, match="no annotations of"):
        read(tmp_path)


def test_a_cut_file_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_images(tmp_path)
    write_text(tmp_path / "boxes.json", make_coco()[:600])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "boxes.json", "not a JSON file")


def test_two_files_of_one_split_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_images(tmp_path)
    for name in ("train/a.json", "train/b.json"):
        write_text(tmp_path / name, make_coco("train"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, "train/a.json", "train/b.json", "--data.annotations")
