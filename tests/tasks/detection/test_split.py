"""COCO annotations: any ids, crowds, empty images, boxes that need repair, and invalid files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.data.split import divide
from litmobile.tasks.detection.formats.coco import read_coco

Content = dict[str, Any]
WriteCoco = Callable[..., tuple[Path, Path]]
OneSentence = Callable[..., None]


def test_a_valid_file_is_read_completely(content: Content, write_coco: WriteCoco) -> None:
    file, folder = write_coco(content)
    data = read_coco(file, folder)
    assert len(data) == 3
    assert data.notes == ()
    assert data.classes == ("zero", "four", "nine")
    assert data.category_ids.tolist() == [0, 4, 9]
    assert data.image_ids.tolist() == [7, 0, 3]
    assert [data.size(k) for k in range(3)] == [(40, 60), (50, 50), (30, 45)]
    assert [data.path(k) for k in range(3)] == [folder / "a.png", folder / "b.png", folder / "inner" / "c.png"]
    boxes = [[[1.5, 2, 31.5, 32]], [[5, 6, 25, 16], [10, 10, 35, 35.25]], []]  # without the crowd
    labels = [[2], [1, 0], []]
    for k in range(3):
        assert data.objects(k)[0].tolist() == boxes[k]
        assert data.objects(k)[1].tolist() == labels[k]
        assert data.objects(k)[0].shape == (len(labels[k]), 4)


def test_annotations_are_flat_arrays(content: Content, write_coco: WriteCoco) -> None:
    data = read_coco(*write_coco(content))
    kinds = {"names": "U", "image_ids": "i8", "sizes": "i8", "starts": "i8", "boxes": "f4", "labels": "i8"}
    for name, kind in kinds.items():
        array = getattr(data, name)
        assert isinstance(array, np.ndarray)
        assert array.dtype.str.lstrip("<>|").startswith(kind), name


@pytest.mark.parametrize("ids", [[1, 2, 3], [0, 1, 2], [90, 0, 17], [3, 2, 1], [-4, 10**12, 5]], ids=str)
def test_category_ids_may_be_any_integers(content: Content, write_coco: WriteCoco, ids: list[int]) -> None:
    content["categories"] = [{"id": key, "name": f"name of {key}"} for key in ids]
    content["annotations"] = [
        {"id": k, "image_id": 7, "category_id": key, "bbox": [k, 0, 10, 10]} for k, key in enumerate(ids)
    ]
    data = read_coco(*write_coco(content))
    boxes, labels = data.objects(0)
    assert data.category_ids.tolist() == sorted(ids)
    assert [data.category_ids[label] for label in labels] == ids
    assert [data.classes[label] for label in labels] == [f"name of {key}" for key in ids]
    assert boxes[:, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("ids", [[1, 2, 3], [0, 1, 2], [30, 5, 12], [-1, 10**12, 4]], ids=str)
def test_image_ids_may_be_any_integers(content: Content, write_coco: WriteCoco, ids: list[int]) -> None:
    for image, key in zip(content["images"], ids, strict=True):
        image["id"] = key
    content["annotations"] = [  # not in the order of the images, as in real files
        {"id": 5 * k + n, "image_id": ids[k], "category_id": 9, "bbox": [k, n, 10, 10]}
        for n in range(2)
        for k in (2, 0, 1)
    ]
    data = read_coco(*write_coco(content))
    assert data.image_ids.tolist() == ids
    for k in range(3):
        assert data.objects(k)[0][:, :2].tolist() == [[k, 0], [k, 1]]


def test_categories_without_names_get_their_ids_as_names(content: Content, write_coco: WriteCoco) -> None:
    del content["categories"][0]["name"]
    assert read_coco(*write_coco(content)).classes == ("zero", "four", "9")


def test_a_split_may_have_no_objects(content: Content, write_coco: WriteCoco) -> None:
    content["annotations"] = []
    data = read_coco(*write_coco(content))
    assert [data.objects(k)[0].shape for k in range(3)] == [(0, 4)] * 3


def test_crowds_are_left_out(content: Content, write_coco: WriteCoco) -> None:
    for row in content["annotations"]:
        row["iscrowd"] = 1
    data = read_coco(*write_coco(content))
    assert len(data.boxes) == len(data.labels) == 0
    assert data.notes == ()


@pytest.mark.parametrize(
    ("bbox", "corners"),
    [
        ([50, 30, 40, 40], [50, 30, 60, 40]),
        ([-10, -5, 20, 20], [0, 0, 10, 15]),
        ([-10, -10, 100, 100], [0, 0, 60, 40]),
        ([0, 0, math.inf, 10], [0, 0, 60, 10]),
        ([59, 39, 1.5, 1.5], [59, 39, 60, 40]),
        ([70, 10, 5, 5], None),
        ([10, -20, 5, 10], None),
        ([60, 0, 5, 10], None),
        ([10, 10, 0, 5], None),
        ([10, 10, 5, -3], None),
        ([math.nan, 0, 5, 5], None),
        ([0, 0, 5, math.nan], None),
    ],
    ids=str,
)
def test_boxes_are_clipped_or_left_out_and_counted(
    content: Content, write_coco: WriteCoco, bbox: list[float], corners: list[float] | None
) -> None:
    wrong = {"id": 20, "image_id": 7, "category_id": 4, "bbox": bbox}
    content["annotations"] += [wrong, dict(wrong, id=21)]
    file, folder = write_coco(content)
    data = read_coco(file, folder)
    boxes, labels = data.objects(0)
    assert boxes[1:].tolist() == ([] if corners is None else [corners] * 2)
    assert len(labels) == len(boxes)
    assert np.isfinite(data.boxes).all()
    assert str(file) in data.notes[0]
    assert ("2 boxes without area left out" in data.notes[0]) == (corners is None)
    assert ("2 boxes clipped to their image" in data.notes[0]) == (corners is not None)
    assert len(data.objects(1)[0]) == 2, "objects of other images are unchanged"


def test_rounding_in_the_file_is_not_a_repair(content: Content, write_coco: WriteCoco) -> None:
    content["annotations"][0]["bbox"] = [0, 0, 50.004, 50]
    data = read_coco(*write_coco(content))
    assert data.notes == ()
    assert data.objects(1)[0][0].tolist() == [0, 0, 50, 50]


def test_both_kinds_of_repair_are_noted_in_one_sentence(
    content: Content, write_coco: WriteCoco, assert_one_sentence: OneSentence
) -> None:
    for bbox in ([0, 0, 0, 0], [40, 0, 90, 9], [0, 30, 9, 90], [0, 0, 90, 90]):
        content["annotations"].append({"image_id": 7, "category_id": 4, "bbox": bbox})
    assert_one_sentence(
        ValueError(read_coco(*write_coco(content)).notes[0]), "1 boxes without area left out", "3 boxes clipped"
    )


# invalid files: how to produce one, and the words that the error must contain besides the file
INVALID: dict[str, tuple[Callable[[Content], Any], tuple[str, ...]]] = {
    "no list of images": (lambda c: c.pop("images"), ("images",)),
    "no list of annotations": (lambda c: c.pop("annotations"), ("annotations",)),
    "no list of categories": (lambda c: c.pop("categories"), ("categories",)),
    "images in a dictionary": (lambda c: c.update(annotations={}), ("annotations",)),
    "a record that is a number": (lambda c: c["annotations"].append(5), ("annotations",)),
    "no images": (lambda c: c.update(images=[]), ("0 images",)),
    "no categories": (lambda c: c.update(categories=[]), ("0 categories",)),
    "an image without id": (lambda c: c["images"][1].pop("id"), ("record 1 of images", "id")),
    "an image without height": (lambda c: c["images"][2].pop("height"), ("record 2 of images", "height")),
    "a width that is a string": (lambda c: c["images"][0].update(width="wide"), ("record 0 of images", "wide")),
    "a fractional id": (lambda c: c["images"][0].update(id=1.5), ("record 0 of images", "1.5")),
    "a category without id": (lambda c: c["categories"][1].pop("id"), ("record 1 of categories", "id")),
    "two images of one id": (lambda c: c["images"][1].update(id=7), ("images", " 7")),
    "two categories of one name": (lambda c: c["categories"].append(c["categories"][0] | {"id": 5}), ("both called",)),
    "two categories of one id": (lambda c: c["categories"][1].update(id=9), ("categories", " 9")),
    "an image without a name": (lambda c: c["images"][0].pop("file_name"), ("one unnamed",)),
    "a missing image": (lambda c: c["images"][0].update(file_name="absent.png"), ("absent.png",)),
    "an object without image": (lambda c: c["annotations"][1].pop("image_id"), ("image_id", "annotations")),
    "an object of an unknown image": (lambda c: c["annotations"][1].update(image_id=99), ("annotation 12", "image 99")),
    "an object of an unknown category": (
        lambda c: c["annotations"][2].update(category_id=5),
        ("annotation 13", "category 5"),
    ),
    "an object without box": (lambda c: c["annotations"][0].pop("bbox"), ("annotation 11", "bbox")),
    "a box of three numbers": (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), ("annotation 11", "[1, 2, 3]")),
    "a box with a word": (lambda c: c["annotations"][0].update(bbox=["a", 2, 3, 4]), ("annotation 11", "'a'")),
    "a box of strings": (lambda c: c["annotations"][0].update(bbox=["1", "2", "3", "4"]), ("annotation 11", "'1'")),
    "a box of lists": (lambda c: c["annotations"][0].update(bbox=[[1], 2, 3, 4]), ("annotation 11", "[[1], 2")),
}


@pytest.mark.parametrize(("spoil", "mentioned"), INVALID.values(), ids=INVALID)
def test_an_invalid_file_is_refused_with_the_wrong_item(
    content: Content,
    write_coco: WriteCoco,
    spoil: Callable[[Content], Any],
    mentioned: tuple[str, ...],
    assert_one_sentence: OneSentence,
) -> None:
    spoil(content)
    file, folder = write_coco(content)
    with pytest.raises(DataError) as caught:
        read_coco(file, folder)
    assert_one_sentence(caught.value, file, *mentioned)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        (b"", "not a JSON"),
        (b"<xml/>", "not a JSON"),
        (b'{"images": [', "not a JSON"),
        (b"\xff\xd8\xff\xe0 an image", "not a JSON"),
        (b"[]", "list"),
        (b"7", "int"),
    ],
)
def test_other_files_are_refused_in_one_sentence(
    content: Content, write_coco: WriteCoco, text: bytes, mentioned: str, assert_one_sentence: OneSentence
) -> None:
    file, folder = write_coco(content)
    file.write_bytes(text)
    with pytest.raises(DataError) as caught:
        read_coco(file, folder)
    assert_one_sentence(caught.value, file, mentioned)


def test_missing_files_and_folders_are_named(
    content: Content, write_coco: WriteCoco, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    file, folder = write_coco(content)
    for parts, named in (((tmp_path / "no.json", folder), "no.json"), ((file, tmp_path / "nowhere"), "nowhere")):
        with pytest.raises(DataError) as caught:
            read_coco(*parts)
        assert_one_sentence(caught.value, tmp_path / named)


def test_real_coco_is_read_completely(real_data: Path) -> None:
    root = real_data / "coco_tiny"
    for split, objects in (("train2017", 705 - 6), ("val2017", 815 - 11)):
        file = root / "annotations" / f"instances_{split}.json"
        data = read_coco(file, root / split)
        assert [len(data), len(data.classes), len(data.boxes)] == [80, 80, objects]
        crowds = [row for row in json.loads(file.read_text())["annotations"] if row["iscrowd"]]
        assert len(crowds) in (6, 11)


def test_strata_are_classes_by_rarity_and_all_images(content: Content, write_coco: WriteCoco) -> None:
    split = read_coco(*write_coco(content))
    found = [(stratum.name, split.names[stratum.images].tolist(), stratum.is_required) for stratum in split.strata()]
    assert found == [
        ("zero", ["b.png"], False),
        ("four", ["b.png"], False),
        ("nine", ["a.png"], False),
        ("", ["a.png", "b.png", "inner/c.png"], True),
    ]


def test_a_drawn_part_leaves_every_class_in_training(content: Content, write_coco: WriteCoco) -> None:
    split = read_coco(*write_coco(content))
    train, val = divide(split, 0.3, seed=0)
    assert val.names.tolist() == ["inner/c.png"] and len(np.unique(train.labels)) == 3
