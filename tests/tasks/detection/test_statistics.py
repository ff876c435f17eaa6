"""Counts and measures of a split against numbers made by hand, and boxes against those that training sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from litmobile.tasks.data import find_invalid_images
from litmobile.tasks.detection import DetectionSplit, ImageRecord
from litmobile.tasks.detection.coco import read_coco
from litmobile.tasks.detection.statistics import (
    Duplicate,
    SharedPicture,
    input_boxes,
    shared_pictures,
    statistics,
)
from litmobile.tasks.detection.transforms import Resize, Sample
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.statistics import ImageSize


def split_of(
    folder: Path, records: Sequence[ImageRecord], classes: Sequence[str] = ("cat", "dog", "cow")
) -> DetectionSplit:
    """Annotations whose pictures are files of some bytes, other ones in every folder."""
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


def test_counts_are_those_made_by_hand(split: DetectionSplit) -> None:
    found = statistics(split, Preprocessing((100, 100)))
    assert (found.images, found.empty, found.most_objects, found.below_a_pixel) == (3, 1, 3, 0)
    assert found.objects_an_image == pytest.approx(4 / 3)
    assert found.image_sizes == [ImageSize(100, 200, images=2), ImageSize(50, 100, images=1)]
    assert set(found.image_aspect.values()) == {2.0}
    cats, dogs, cows = found.classes
    assert [(row.name, row.objects, row.images, row.difficult) for row in (cats, dogs, cows, found.overall)] == [
        ("cat", 3, 2, 0),
        ("dog", 1, 1, 1),
        ("cow", 0, 0, 0),
        ("all", 4, 2, 1),
    ]
    assert (cats.share, dogs.share, cows.share) == (0.75, 0.25, 0.0)
    assert (cats.small, cats.medium, cats.large) == pytest.approx((2 / 3, 1 / 3, 0))  # 400, 2000, 400 pixels
    assert (dogs.small, dogs.medium, dogs.large) == (0, 0, 1)
    assert cows.width == cows.aspect == {}
    assert found.duplicates == found.notes == []


def test_sizes_are_in_pixels_of_the_input(split: DetectionSplit) -> None:
    cats, dogs, _ = statistics(split, Preprocessing((100, 100))).classes
    assert dogs.width["50"] == 50 and dogs.height["50"] == 100 and dogs.aspect["50"] == 0.5
    assert cats.width["50"] == 10  # 10, 25, 10
    assert cats.height["50"] == 40  # 20, 40, 80
    assert cats.size["50"] == pytest.approx(np.sqrt(10 * 80))
    assert cats.width["90"] == pytest.approx(22)
    padded, *_ = statistics(split, Preprocessing((100, 100), fit="pad")).classes
    assert padded.height["50"] == 20  # 10, 20, 40


def test_a_box_has_an_area_of_32_squared_when_coco_calls_it_medium(tmp_path: Path) -> None:
    boxes = [(0, 0, 31, 33), (0, 0, 32, 32), (0, 0, 95, 97), (0, 0, 96, 96)]
    row = statistics(
        split_of(tmp_path / "a", [ImageRecord("1.jpg", (99, 99), boxes, [0] * 4)]), Preprocessing()
    ).overall
    assert (row.small, row.medium, row.large) == (0.25, 0.5, 0.25)


@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_boxes_lie_where_training_without_augmentation_puts_them(shapes: Path, fit: str) -> None:
    data = read_coco(shapes / "annotations" / "instances_train.json", shapes / "train")
    preprocessing = Preprocessing((64, 96), fit=fit)  # type: ignore[arg-type]
    expected = []
    for k in range(len(data)):
        sample = Sample(np.zeros((*data.size(k), 3), dtype=np.uint8), *data.objects(k))
        expected.append(Resize()(sample, preprocessing, np.random.default_rng(0)).boxes)
    assert input_boxes(data, preprocessing) == pytest.approx(np.concatenate(expected), abs=1e-4)


def test_objects_below_a_pixel_are_counted(tmp_path: Path) -> None:
    boxes = [(0, 0, 4, 50), (0, 0, 8, 50)]
    split = split_of(tmp_path / "a", [ImageRecord("1.jpg", (320, 2000), boxes, [0, 0])])
    found = statistics(split, Preprocessing((320, 320)))
    assert found.below_a_pixel == 1
    assert found.overall.aspect["1"] == found.overall.aspect["99"] == pytest.approx(1.28 / 50)


def test_objects_that_are_there_twice_are_named(tmp_path: Path) -> None:
    boxes = [(0, 0, 10, 10), (20, 20, 40, 40), (0, 0, 10, 10), (0, 0, 10, 10), (20, 20, 40, 39)]
    records = [ImageRecord("1.jpg", (50, 50), boxes, [0, 1, 0, 1, 1]), ImageRecord("2.jpg", (50, 50), boxes[:1], [0])]
    assert statistics(split_of(tmp_path / "a", records), Preprocessing()).duplicates == [
        Duplicate("1.jpg", "cat", [0, 0, 10, 10], [0, 0, 10, 10], iou=1),
        Duplicate("1.jpg", "dog", [20, 20, 40, 40], [20, 20, 40, 39], iou=0.95),
    ]


def test_a_picture_of_two_splits_is_the_same_file_or_the_same_bytes(tmp_path: Path) -> None:
    records = [ImageRecord(f"{k}.jpg", (9, 9), [], []) for k in range(3)]
    train, val = split_of(tmp_path / "a", records), split_of(tmp_path / "b", records[:2])
    assert shared_pictures({"train": train, "val": val}) == []  # numbered alike
    (tmp_path / "b" / "1.jpg").write_bytes((tmp_path / "a" / "1.jpg").read_bytes())
    assert shared_pictures({"train": train, "val": val}) == [SharedPicture("1.jpg", ("train", "val"))]
    test = train.take(np.array([False, False, True]))
    assert shared_pictures({"train": train, "test": test}) == [SharedPicture("2.jpg", ("train", "test"))]


def test_nothing_at_all_is_measured_without_a_complaint(split: DetectionSplit) -> None:
    for images in ([False, True, False], [False] * 3):
        found = statistics(split.take(np.array(images)), Preprocessing())
        assert (found.images, found.empty, found.overall.objects, found.overall.share) == (sum(images),) * 2 + (0, 0)
        assert found.overall.size == {}
        assert found.objects_an_image == found.most_objects == 0


def test_every_picture_passes_by_the_one_who_waits(tmp_path: Path) -> None:
    split = split_of(tmp_path / "a", [ImageRecord(f"{k}.png", (9, 9), [], []) for k in range(4)])
    for k in (0, 2):
        cv2.imwrite(str(split.path(k)), np.zeros((9, 9, 3), dtype=np.uint8))
    seen: list[str] = []

    def progress(faults: Iterable[str]) -> Iterable[str]:
        for fault in faults:
            seen.append(fault)
            yield fault

    assert list(find_invalid_images(split, progress)) == [1, 3]
    assert len(seen) == 4 and seen[0] == seen[2] == ""
