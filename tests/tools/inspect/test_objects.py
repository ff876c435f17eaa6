"""Figures of objects against numbers computed by hand, and boxes against those that training sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection import DetectionSplit, ImageRecord
from litmobile.tasks.detection.anchors import input_boxes
from litmobile.tasks.detection.formats.coco import read_coco
from litmobile.tasks.detection.transforms import Resize, Sample
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.inspect.detection import find_leaks, measure_split


def split_of(
    folder: Path, records: Sequence[ImageRecord], classes: Sequence[str] = ("cat", "dog", "cow")
) -> DetectionSplit:
    """Annotations whose images are files of a few bytes, which differ between folders."""
    folder.mkdir(exist_ok=True)
    for record in records:
        (folder / record.name).write_bytes(str(folder / record.name).encode())
    return DetectionSplit.from_records(folder / "source", folder, classes, records)


@pytest.fixture
def split(tmp_path: Path) -> DetectionSplit:
    """Three images of two sizes: two cats and a difficult dog, nothing, a cat."""
    boxes = [(0, 0, 20, 20), (10, 0, 60, 40), (0, 0, 100, 100)]
    return split_of(
        tmp_path / "a",
        [
            ImageRecord("1.jpg", (100, 200), boxes, [0, 0, 1], [False, False, True]),
            ImageRecord("2.jpg", (100, 200), [], []),
            ImageRecord("3.jpg", (50, 100), [(0, 0, 10, 40)], [0]),
        ],
    )


def test_counts_equal_those_made_by_hand(split: DetectionSplit) -> None:
    found = measure_split(split, Preprocessing((100, 100)))
    assert (found["images"], found["images_without_objects"]) == (3, 1)
    assert (found["most_objects_in_an_image"], found["objects_below_one_pixel"]) == (3, 0)
    assert found["objects_per_image"] == pytest.approx(4 / 3)
    assert [tuple(row.values()) for row in found["image_sizes"]] == [(100, 200, 2), (50, 100, 1)]
    assert list(found["image_sizes"][0]) == ["height", "width", "images"]
    assert set(found["image_aspect_ratio"].values()) == {2.0}
    cats, dogs, cows = found["classes"]
    counts = [tuple(row[key] for key in ("name", "objects", "images", "difficult")) for row in found["classes"]]
    counts.append(tuple(found["overall"][key] for key in ("name", "objects", "images", "difficult")))
    assert counts == [
        ("cat", 3, 2, 0),
        ("dog", 1, 1, 1),
        ("cow", 0, 0, 0),
        ("all", 4, 2, 1),
    ]
    assert (cats["share"], dogs["share"], cows["share"]) == (0.75, 0.25, 0.0)
    assert (cats["small"], cats["medium"], cats["large"]) == pytest.approx((2 / 3, 1 / 3, 0))  # 400, 2000, 400 pixels
    assert (dogs["small"], dogs["medium"], dogs["large"]) == (0, 0, 1)
    assert cows["width"] == cows["aspect"] == {}
    assert found["duplicate_objects"] == []


def test_object_sizes_are_in_pixels_of_the_input(split: DetectionSplit) -> None:
    cats, dogs, _ = measure_split(split, Preprocessing((100, 100)))["classes"]
    assert dogs["width"]["50"] == 50 and dogs["height"]["50"] == 100 and dogs["aspect"]["50"] == 0.5
    assert cats["width"]["50"] == 10  # 10, 25, 10
    assert cats["height"]["50"] == 40  # 20, 40, 80
    assert cats["size"]["50"] == pytest.approx(np.sqrt(10 * 80))
    assert cats["width"]["90"] == pytest.approx(22)
    padded, *_ = measure_split(split, Preprocessing((100, 100), fit="pad"))["classes"]
    assert padded["height"]["50"] == 20  # 10, 20, 40


def test_small_medium_and_large_follow_coco(tmp_path: Path) -> None:
    boxes = [(0, 0, 31, 33), (0, 0, 32, 32), (0, 0, 95, 97), (0, 0, 96, 96)]
    split = split_of(tmp_path / "a", [ImageRecord("1.jpg", (99, 99), boxes, [0] * 4)])
    row = measure_split(split, Preprocessing())["overall"]
    assert (row["small"], row["medium"], row["large"]) == (0.25, 0.5, 0.25)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_input_boxes_equal_those_of_training(shapes: Path, fit: str) -> None:
    data = read_coco(shapes / "annotations" / "instances_train.json", shapes / "train")
    preprocessing = Preprocessing((64, 96), fit=fit)  # type: ignore[arg-type]
    expected = []
    for k in range(len(data)):
        sample = Sample(np.zeros((*data.size(k), 3), dtype=np.uint8), *data.objects(k))
        expected.append(Resize()(sample, preprocessing, np.random.default_rng(0)).boxes)
    assert input_boxes(data, preprocessing) == pytest.approx(np.concatenate(expected), abs=1e-4)


def test_objects_below_one_pixel_are_counted(tmp_path: Path) -> None:
    boxes = [(0, 0, 4, 50), (0, 0, 8, 50)]
    split = split_of(tmp_path / "a", [ImageRecord("1.jpg", (320, 2000), boxes, [0, 0])])
    found = measure_split(split, Preprocessing((320, 320)))
    assert found["objects_below_one_pixel"] == 1
    assert found["overall"]["aspect"]["1"] == found["overall"]["aspect"]["99"] == pytest.approx(1.28 / 50)


def test_duplicate_objects_are_named(tmp_path: Path) -> None:
    boxes = [(0, 0, 10, 10), (20, 20, 40, 40), (0, 0, 10, 10), (0, 0, 10, 10), (20, 20, 40, 39)]
    records = [ImageRecord("1.jpg", (50, 50), boxes, [0, 1, 0, 1, 1]), ImageRecord("2.jpg", (50, 50), boxes[:1], [0])]
    duplicates = measure_split(split_of(tmp_path / "a", records), Preprocessing())["duplicate_objects"]
    assert list(duplicates[0]) == ["image", "name", "box", "other", "iou"]
    assert [tuple(row.values()) for row in duplicates] == [
        ("1.jpg", "cat", [0, 0, 10, 10], [0, 0, 10, 10], 1),
        ("1.jpg", "dog", [20, 20, 40, 40], [20, 20, 40, 39], 0.95),
    ]


def test_leaks_are_the_same_file_or_the_same_bytes(tmp_path: Path) -> None:
    records = [ImageRecord(f"{k}.jpg", (9, 9), [], []) for k in range(3)]
    train, val = split_of(tmp_path / "a", records), split_of(tmp_path / "b", records[:2])
    assert find_leaks({"train": train, "val": val}) == []  # equal names, different bytes
    (tmp_path / "b" / "1.jpg").write_bytes((tmp_path / "a" / "1.jpg").read_bytes())
    assert find_leaks({"train": train, "val": val}) == [{"name": "1.jpg", "splits": ["train", "val"]}]
    test = train.take(np.array([False, False, True]))
    assert find_leaks({"train": train, "test": test}) == [{"name": "2.jpg", "splits": ["train", "test"]}]


def test_a_split_without_objects_is_measured(split: DetectionSplit) -> None:
    found = measure_split(split.take(np.array([False, True, False])), Preprocessing())
    assert (found["images"], found["images_without_objects"]) == (1, 1)
    assert (found["overall"]["objects"], found["overall"]["share"]) == (0, 0)
    assert found["overall"]["size"] == {}
    assert found["objects_per_image"] == found["most_objects_in_an_image"] == 0
    with pytest.raises(DataError, match="contains no images"):
        split.take(np.array([False] * 3))
