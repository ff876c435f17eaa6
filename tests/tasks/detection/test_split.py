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
        ([0, 0, math.inf, 10], None),
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


# what can be derived: how to leave it out of a valid file
DERIVABLE: dict[str, Callable[[Content], Any]] = {
    "ids and sizes written as 64.0": lambda c: [
        image.update({key: float(image[key]) for key in ("id", "height", "width")}) for image in c["images"]
    ],
    "ids written as text": lambda c: [
        record.update({key: str(record[key]) for key in ("id", "image_id", "category_id") if key in record})
        for key in ("images", "annotations", "categories")
        for record in c[key]
    ],
    "boxes written as text": lambda c: [row.update(bbox=[str(x) for x in row["bbox"]]) for row in c["annotations"]],
    "boxes in polygons": lambda c: [
        row.update(bbox=[], segmentation=[[x, y, x + w, y, x + w, y + h, x, y + h]])
        for row in c["annotations"]
        for x, y, w, h in [row["bbox"]]
    ],
    "no sizes": lambda c: [(image.pop("height"), image.update(width=0)) for image in c["images"]],
    "crowds as words": lambda c: [row.update(iscrowd=["no", "True"][row["iscrowd"]]) for row in c["annotations"]],
    "crowds as text": lambda c: [row.update(iscrowd=f"{row['iscrowd']}") for row in c["annotations"]],
    "no crowds where there are none": lambda c: [row.pop("iscrowd") for row in c["annotations"] if not row["iscrowd"]],
    "backslashes in file names": lambda c: c["images"][2].update(file_name="inner\\c.png"),
    "folders of another computer": lambda c: c["images"][0].update(file_name="C:\\data\\a.png"),
    "a placeholder category": lambda c: (
        c["categories"].append({"id": 5, "name": "things", "supercategory": "none"}),
        [category.update(supercategory="things") for category in c["categories"][:3]],
    ),
}


@pytest.mark.parametrize("change", DERIVABLE.values(), ids=DERIVABLE)
def test_what_can_be_derived_is_derived(
    content: Content, write_coco: WriteCoco, change: Callable[[Content], Any]
) -> None:
    file, folder = write_coco(content)
    expected = read_coco(file, folder)
    change(content)
    file.write_text(json.dumps(content))
    data = read_coco(file, folder)
    for name in ("names", "image_ids", "sizes", "starts", "boxes", "labels", "classes", "category_ids"):
        assert np.array_equal(getattr(data, name), getattr(expected, name)), name
    for name in ("images", "categories", "boxes", "areas", "is_crowd"):
        assert np.array_equal(getattr(data.ground_truth, name), getattr(expected.ground_truth, name)), name


@pytest.mark.parametrize("area", [None, "480", [480], -480, math.nan, math.inf, True], ids=str)
def test_an_area_that_is_no_number_is_that_of_the_box(content: Content, write_coco: WriteCoco, area: object) -> None:
    content["annotations"][0]["area"] = area
    data = read_coco(*write_coco(content))
    truth = data.ground_truth
    width, height = truth.boxes[0, 2:]
    assert truth.areas[0] == width * height == 200
    assert len(data.notes) == (area is not None)


@pytest.mark.parametrize("bbox", [[], [1, 2, 3], ["a", 2, 3, 4], None], ids=str)
def test_one_broken_object_can_be_skipped(content: Content, write_coco: WriteCoco, bbox: object) -> None:
    content["annotations"][0]["bbox"] = bbox
    data = read_coco(*write_coco(content), on_invalid="skip")
    assert len(data) == 3
    assert data.labels.tolist() == [2, 0]
    assert len(data.ground_truth.images) == 3
    assert "annotation 11" in data.notes[0]


def test_ids_that_are_text_get_numbers(content: Content, write_coco: WriteCoco) -> None:
    for record in (*content["images"], *content["annotations"]):
        key = "id" if "file_name" in record else "image_id"
        record[key] = f"image {record[key]}"
    data = read_coco(*write_coco(content))
    assert data.image_ids.tolist() == [1, 2, 3]
    assert [len(data.objects(k)[1]) for k in range(3)] == [1, 2, 0]


@pytest.mark.parametrize(
    ("bbox", "evaluated"),
    [
        ([5, 6, 20, 10], [5, 6, 20, 10]),
        ([40, 6, 20, 10], [40, 6, 10, 10]),
        ([40, 6, 10.004, 10], [40, 6, 10.004, 10]),
        ([60, 6, 20, 10], None),
        ([5, 6, 0, 10], None),
        ([5, 6, 20, -1], None),
        ([math.nan, 6, 20, 10], None),
    ],
    ids=str,
)
def test_training_and_evaluation_repair_boxes_alike(
    content: Content, write_coco: WriteCoco, bbox: list[float], evaluated: list[float] | None
) -> None:
    content["annotations"][:] = [content["annotations"][0] | {"bbox": bbox}]
    truth = read_coco(*write_coco(content)).ground_truth
    assert truth.boxes.tolist() == ([] if evaluated is None else [evaluated])


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
        ValueError(read_coco(*write_coco(content)).notes[0]), "1 box without area left out", "3 boxes clipped"
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
    "an image without id": (lambda c: c["images"][1].pop("id"), ("image 1", "id")),
    "a width that is a word": (lambda c: c["images"][0].update(width="wide"), ("image 7", "'wide'")),
    "a fractional id": (lambda c: c["images"][0].update(id=1.5), ("image 0", "1.5")),
    "an id that is true": (lambda c: c["images"][0].update(id=True), ("image 0", "True")),
    "an id beyond exact floats": (lambda c: c["images"][0].update(id=1e17), ("image 0", "1e+17")),
    "a category without id": (lambda c: c["categories"][1].pop("id"), ("category 1", "id")),
    "two images of one file": (lambda c: c["images"][1].update(file_name="a.png"), ("images 7 and 0", "a.png")),
    "two images of one id": (lambda c: c["images"][1].update(id=7), ("image 0", "image 1", " 7")),
    "two spellings of one id": (lambda c: c["images"][1].update(id="7"), ("image 0", "image 1", " 7")),
    "two names equal in NFC": (
        lambda c: (c["categories"][0].update(name="caf\u00e9"), c["categories"][1].update(name="cafe\u0301")),
        ("both called", "café"),
    ),
    "a name of two lines": (lambda c: c["categories"][0].update(name="a\nb"), ("category 9", r"'a\nb'")),
    "a name that is half a letter": (lambda c: c["categories"][0].update(name="\ud83d"), ("category 9", r"'\ud83d'")),
    "a name that is empty": (lambda c: c["categories"][0].update(name=" "), ("category 9", "' '")),
    "a crowd that may be": (lambda c: c["annotations"][0].update(iscrowd="maybe"), ("annotation 11", "'maybe'")),
    "a crowd of 2": (lambda c: c["annotations"][0].update(iscrowd=2), ("annotation 11", "iscrowd 2")),
    "two categories of one name": (lambda c: c["categories"].append(c["categories"][0] | {"id": 5}), ("both called",)),
    "two categories of one id": (lambda c: c["categories"][1].update(id=9), ("category 0", "category 1", " 9")),
    "an image without a name": (lambda c: c["images"][0].pop("file_name"), ("image 7", "None")),
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
    "a polygon of two points": (
        lambda c: c["annotations"][0].update(bbox=[], segmentation=[[1, 2, 3, 4]]),
        ("annotation 11", "[]"),
    ),
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
        (b"[" * 100_000, "nested"),
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
