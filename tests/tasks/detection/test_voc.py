"""Pascal VOC's layout: what is read, what is refused, and AP50 as VOC computes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection import VocDetection
from litmobile.tasks.detection.evaluation.voc_metrics import (
    VocEvaluator,
    average_eleven_points,
    average_envelope,
    judge_detections,
)
from litmobile.tasks.detection.formats.listing import Listing
from litmobile.tasks.detection.formats.voc import VocFormat
from litmobile.tasks.detection.split import DetectionSplit

OneSentence = Callable[..., None]

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult>"
    "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    "<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"
)
SIZE = "<size><width>60</width><height>40</height><depth>3</depth></size>"
CAT = OBJECT.format(1, 1, 60, 40, name="cat", difficult=0)
DOG = OBJECT.format(11, 6, 30, 25, name="dog", difficult=1)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Three images: a cat and a difficult dog, nothing, a dog."""
    root = tmp_path / "VOC"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for stem, objects in (("a", CAT + DOG), ("b", ""), ("c", DOG.replace(">1</difficult>", ">0</difficult>"))):
        (root / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{SIZE}{objects}</annotation>")
        cv2.imwrite(str(root / "JPEGImages" / f"{stem}.jpg"), np.zeros((40, 60, 3), dtype=np.uint8))
    (root / "ImageSets/Main/train.txt").write_text("a  1\nb -1\n\n")  # lists of one class have a second column
    (root / "ImageSets/Main/val.txt").write_text("c\n")
    return root


def read_voc(root: Path, split: str, on_invalid: Any = "raise") -> DetectionSplit:
    """Read one split of a folder."""
    found = VocFormat.recognise(Listing(root))
    assert found is not None
    return found.read(split, on_invalid)


def test_boxes_count_from_1_and_include_their_last_pixel(voc: Path) -> None:
    data = read_voc(voc, "train")
    assert data.classes == ("cat", "dog")  # parts of objects are not classes
    assert [data.path(k).name for k in range(len(data))] == ["a.jpg", "b.jpg"]
    assert data.size(0) == (40, 60)
    boxes, labels = data.objects(0)
    assert boxes.tolist() == [[0, 0, 60, 40], [10, 5, 30, 25]]
    assert labels.tolist() == [0, 1]
    assert data.difficult.tolist() == [False, True]
    assert data.objects(1)[0].shape == (0, 4)
    assert data.notes == ()


def test_all_splits_have_the_same_classes(voc: Path) -> None:
    assert read_voc(voc, "val").classes == read_voc(voc, "train").classes


def test_classes_can_be_ordered(voc: Path) -> None:
    data = VocDetection(str(voc), classes=["dog", "cat"], num_workers=0)
    data.setup("fit")
    assert data.classes == ("dog", "cat")
    assert data.splits["val"].objects(0)[1].tolist() == [0]


def test_difficult_objects_can_be_left_out_of_training_only(voc: Path) -> None:
    data = VocDetection(str(voc), val="train", difficult=False, num_workers=0)
    data.setup("fit")
    assert data.splits["train"].objects(0)[1].tolist() == [0]
    assert data.splits["val"].ground_truth.is_crowd.tolist() == [False, True]


@pytest.mark.parametrize("size", ["", SIZE.replace("60", "0"), SIZE.replace("40", "")], ids=["none", "zero", "empty"])
def test_a_missing_size_is_that_of_the_image(voc: Path, size: str) -> None:
    (voc / "Annotations" / "a.xml").write_text(f"<annotation>{size}{CAT}</annotation>")
    data = read_voc(voc, "train")
    assert data.size(0) == (40, 60)
    assert "1 size read from the images" in data.notes[0]


@pytest.mark.parametrize(
    ("word", "is_difficult"),
    [("0", False), ("", False), ("False", False), ("Unspecified", False), (" 1 ", True), ("true", True), ("YES", True)],
)
def test_difficult_is_parsed(voc: Path, word: str, is_difficult: bool) -> None:
    objects = OBJECT.format(1, 1, 60, 40, name="cat", difficult=word)
    (voc / "Annotations" / "a.xml").write_text(f"<annotation>{SIZE}{objects}</annotation>")
    assert read_voc(voc, "train").difficult.tolist() == [is_difficult]


def test_names_of_images_may_contain_blanks(voc: Path) -> None:
    for file in voc.glob("*/a.*"):
        file.rename(file.with_stem("my a (1)"))
    (voc / "ImageSets/Main/train.txt").write_text("my a (1)\nb -1\n")
    assert read_voc(voc, "train").names.tolist() == ["JPEGImages/my a (1).jpg", "JPEGImages/b.jpg"]


INVALID = {
    "size is a word": (f"<annotation>{SIZE.replace('60', 'wide')}</annotation>", "'wide'"),
    "infinite size": (f"<annotation>{SIZE.replace('60', 'inf')}</annotation>", "'inf'"),
    "box with NaN": (f"<annotation>{SIZE}{CAT.replace('<xmin>1<', '<xmin>nan<')}</annotation>", "'nan'"),
    "unknown encoding": ('<?xml version="1.0" encoding="utf-7"?><annotation/>', "save it as UTF-8"),
    "negative size": (f"<annotation>{SIZE.replace('60', '6.5')}</annotation>", "'6.5'"),
    "difficult is unclear": (f"<annotation>{SIZE}{CAT.replace('<difficult>0', '<difficult>2')}</annotation>", "'2'"),
    "bare &": (f"<annotation>{SIZE}{CAT.replace('cat', 'R&D')}</annotation>", "not an XML"),
    "entities": (f'<!DOCTYPE a [<!ENTITY b "c">]><annotation>{SIZE}{CAT}</annotation>', "entities"),
    "no box": (f"<annotation>{SIZE}<object><name>cat</name></object></annotation>", "<xmin>"),
    "incomplete box": (f"<annotation>{SIZE}{CAT.replace('ymax', 'y')}</annotation>", "<ymax>"),
    "no name": (f"<annotation>{SIZE}{CAT.replace('<name>cat</name>', '')}</annotation>", "<name>"),
    "not xml": ("an image of a cat", "not an XML"),
    "truncated": (f"<annotation>{SIZE}{CAT}", "not an XML"),
}


#: cases in which only an object is left out, not its image
INVALID_OBJECTS = ("box with NaN", "difficult is unclear", "no box", "incomplete box", "no name")


@pytest.mark.parametrize("case", INVALID)
def test_invalid_files_are_refused_or_skipped(voc: Path, case: str, assert_one_sentence: OneSentence) -> None:
    content, mentioned = INVALID[case]
    file = voc / "Annotations" / "a.xml"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        read_voc(voc, "train")
    assert str(file) in str(caught.value)
    assert any(words in str(caught.value) for words in mentioned.split("|"))
    data = read_voc(voc, "train", on_invalid="skip")
    names = ["a.jpg", "b.jpg"] if case in INVALID_OBJECTS else ["b.jpg"]
    assert [data.path(k).name for k in range(len(data))] == names
    assert not len(data.boxes)
    assert data.notes == (f"Left out: {caught.value}",)


@pytest.mark.parametrize(
    ("file", "mentioned"), [("Annotations/b.xml", "b.xml"), ("JPEGImages/b.jpg", "no image called b")]
)
def test_a_missing_file_is_named(voc: Path, file: str, mentioned: str, assert_one_sentence: OneSentence) -> None:
    (voc / file).unlink()
    with pytest.raises(DataError) as caught:
        read_voc(voc, "train")
    assert_one_sentence(caught.value, mentioned)


def test_a_missing_list_is_named(voc: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(DataError) as caught:
        VocDetection(str(voc), train="trainval", num_workers=0).setup("fit")
    assert_one_sentence(caught.value, "'trainval'", "--data.train", "train, val")


@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_a_size_that_differs_from_the_image_is_named(voc: Path, policy: Any, capfd: pytest.CaptureFixture[str]) -> None:
    file = voc / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("<width>60", "<width>61"))
    (voc / "ImageSets/Main/train.txt").write_text("a\nb\nc\n")
    data = VocDetection(str(voc), num_workers=0, on_invalid=policy, batch_size=2)
    if policy == "raise":
        with pytest.raises(ValueError, match=r"a.jpg is 60×40 pixels, but its annotations say 61×40"):
            data.setup("fit")
    else:
        data.setup("fit")
        assert [data.splits["train"].path(k).name for k in range(len(data.splits["train"]))] == ["b.jpg", "c.jpg"]
        assert len(list(data.train_dataloader())) == 1


def detections(*rows: tuple[float, float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes as x1, y1, x2, y2 with scores."""
    table = np.array(rows, dtype=float).reshape(-1, 5)
    return table[:, :4], table[:, 4]


def test_objects_match_once_and_difficult_ones_do_not_count() -> None:
    objects = np.array([[0, 0, 10, 10], [20, 0, 10, 10], [40, 0, 10, 10]], dtype=float)
    found = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [21, 0, 10, 10], [40, 0, 5, 10], [41, 0, 5, 9]], dtype=float)
    verdicts = judge_detections(found, objects, np.array([False, True, False]))
    #           correct, second, difficult, IoU of exactly one half, less
    assert verdicts == [True, False, None, True, False]


def test_detections_match_only_the_object_they_overlap_most() -> None:
    objects = np.array([[0, 0, 10, 10], [0, 0, 10, 12]], dtype=float)
    found = np.array([[0, 0, 10, 10], [0, 0, 10, 10]], dtype=float)
    assert judge_detections(found, objects, np.array([False, False])) == [True, False]


def test_average_precision_follows_the_papers() -> None:
    recall, precision = np.array([0.25, 0.25, 0.5, 0.5, 0.75]), np.array([1, 1 / 2, 2 / 3, 1 / 2, 3 / 5])
    assert average_envelope(recall, precision) == pytest.approx(0.25 * 1 + 0.25 * 2 / 3 + 0.25 * 3 / 5)
    # recalls 0, .1, .2 | .3, .4, .5 | .6, .7 | .8, .9, 1
    assert average_eleven_points(recall, precision) == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert average_eleven_points(np.array([]), np.array([])) == average_envelope(np.array([]), np.array([])) == 0


def test_voc_figures_are_added_to_cocos(voc: Path) -> None:
    data = VocDetection(str(voc), val="train", num_workers=0, evaluator="pycocotools")
    data.setup("validate")
    evaluator = data.build_evaluator("val")
    assert isinstance(evaluator, VocEvaluator) and evaluator.backend == "pycocotools"
    cat, dog = data.splits["val"].category_ids
    evaluator.add(1, *detections((0, 0, 60, 39, 0.9), (10, 5, 30, 25, 0.8)), category_ids=np.array([cat, dog]))
    evaluator.add(2, *detections((0, 0, 9, 9, 0.95)), category_ids=np.array([cat]))
    result = evaluator.compute()
    assert result.per_class["AP50_VOC"] == {"cat": 0.5, "dog": None}  # the only dog is difficult
    assert result.figures["AP50_VOC"] == result.figures["AP50_VOC07"] == 0.5
    assert result.figures["AP50"] == pytest.approx(0.5, abs=0.01)
    assert "AP50_VOC per class" in str(result)
    assert result.as_json()["AP50_VOC_per_class"]["cat"] == 0.5


def test_real_blood_cells_are_read_completely(real_data: Path) -> None:
    sizes = {"train": (205, 2805), "val": (87, 1138), "trainval": (292, 3943), "test": (72, 945)}
    for split, (images, objects) in sizes.items():
        data = read_voc(real_data / "bccd", split)
        assert (len(data), len(data.labels)) == (images, objects)
        assert data.classes == ("Platelets", "RBC", "WBC")


def test_real_voc_objects_as_detections_score_1(real_data: Path) -> None:
    data = VocDetection(str(real_data / "bccd"), num_workers=0)
    data.setup("validate")
    evaluator, split = data.build_evaluator("val"), data.splits["val"]
    for k in range(len(split)):
        boxes, labels = split.objects(k)
        evaluator.add(int(split.image_ids[k]), boxes, np.ones(len(boxes)), split.category_ids[labels])
    figures = evaluator.compute().figures
    assert figures["AP"] == pytest.approx(1)
    # two objects of that set are annotated twice, and VOC counts a detection of the second one as wrong
    assert figures["AP50_VOC"] == pytest.approx(1, abs=0.01)
