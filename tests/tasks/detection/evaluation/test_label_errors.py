"""Likely label errors are confident detections that no object explains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litmobile.tasks.detection.evaluation.label_errors import MAX_ERRORS, LabelError, find_label_errors
from litmobile.tasks.detection.evaluation.metrics import CocoEvaluator
from litmobile.tasks.detection.examples import draw_examples

CAT, DOG = 1, 2
HERE, BESIDE, FAR = [10, 10, 40, 40], [16, 10, 40, 40], [100, 100, 30, 30]  # IoU 0.74 and 0


def make_object(category: int, box: list[int], **keys: Any) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0, **keys}


def make_evaluator(objects: list[dict[str, Any]], detections: list[tuple[int, list[int], float]]) -> CocoEvaluator:
    """Evaluate detections (class, box, score) of one image; a second one has a right detection of each class."""
    others = [make_object(k, HERE, image_id=2) for k in (CAT, DOG)]
    annotations = [{"id": k, **row} for k, row in enumerate([*objects, *others], 1)]
    images = [{"id": k, "file_name": f"{k}.png", "width": 200, "height": 200} for k in (1, 2)]
    categories = [{"id": CAT, "name": "cat"}, {"id": DOG, "name": "dog"}]
    evaluator = CocoEvaluator({"images": images, "annotations": annotations, "categories": categories}, "pycocotools")
    evaluator.add_xywh(2, [HERE, HERE], [0.8, 0.8], [CAT, DOG])
    found = detections or [(CAT, HERE, 0.01)]
    evaluator.add_xywh(1, [box for _, box, _ in found], [x for *_, x in found], [k for k, *_ in found])
    evaluator.compute()
    return evaluator


def find(objects: list[dict[str, Any]], detections: list[tuple[int, list[int], float]]) -> list[LabelError]:
    evidence = make_evaluator(objects, detections).evidence()
    assert evidence is not None
    return find_label_errors(evidence)


def test_a_confident_detection_of_nothing_is_perhaps_missing() -> None:
    (error,) = find([make_object(CAT, HERE)], [(CAT, HERE, 0.9), (DOG, FAR, 0.95)])
    assert error[:4] == (0, "missing_object", 1, pytest.approx(0.95))
    assert error.box.tolist() == FAR and error.labelled_as is None


def test_another_class_at_the_same_place_is_perhaps_wrong() -> None:
    (error,) = find([make_object(CAT, HERE)], [(DOG, BESIDE, 0.9)])
    assert (error.kind, error.category, error.labelled_as) == ("wrong_class", 1, 0)


@pytest.mark.parametrize(
    ("objects", "detections"),
    [
        ([make_object(CAT, HERE)], [(CAT, BESIDE, 0.9)]),  # right
        ([make_object(CAT, HERE)], [(CAT, HERE, 0.9), (CAT, BESIDE, 0.85)]),  # a second detection of it
        ([make_object(CAT, HERE)], [(CAT, HERE, 0.9), (DOG, BESIDE, 0.95)]),  # confirmed by its own class
        ([make_object(CAT, HERE), make_object(DOG, BESIDE)], [(DOG, HERE, 0.9)]),  # explained by its own class
        ([make_object(CAT, [0, 0, 150, 150], iscrowd=1)], [(CAT, HERE, 0.9)]),  # in a crowd
        ([make_object(CAT, [0, 0, 150, 150], iscrowd=1)], [(DOG, HERE, 0.9)]),
        ([make_object(CAT, HERE)], [(CAT, FAR, 0.4)]),  # not confident
        ([make_object(CAT, HERE)], [(CAT, [40, 10, 40, 40], 0.9)]),  # IoU 0.14: badly placed
    ],
)
def test_other_detections_suggest_nothing(objects: list[Any], detections: list[Any]) -> None:
    assert find(objects, detections) == []


def test_the_list_is_bounded_and_starts_with_the_most_confident() -> None:
    boxes = [[x, y, 5, 5] for x in range(60, 180, 8) for y in range(60, 180, 8)]
    scores = np.random.default_rng(0).uniform(0.9, 1, len(boxes)).tolist()
    rows = [(k % 2 + 1, box, score) for k, (box, score) in enumerate(zip(boxes, scores, strict=True))]
    errors = find([make_object(CAT, HERE)], rows)
    assert len(errors) == MAX_ERRORS < len(rows)
    assert [error.score for error in errors] == sorted((error.score for error in errors), reverse=True)


def test_the_detection_is_named_and_all_are_listed() -> None:
    evidence = make_evaluator([make_object(CAT, HERE)], [(DOG, BESIDE, 0.9), (DOG, FAR, 0.95)]).evidence()
    assert evidence is not None
    found = draw_examples(evidence, lambda name: np.zeros((200, 200, 3), dtype=np.uint8))
    (error,) = [example for example in found.images if example.kind == "label_error"]  # one for each image
    assert error.name == "1.png"
    assert error.caption == (
        "Perhaps a missing object: the dog detected with a score of 0.95 at x 100, y 100 (30×30 pixels) overlaps no "
        "object"
    )
    assert found.tables["label-errors"][1:] == [
        ["1.png", "missing_object", "dog", 0.95, "", 100.0, 100.0, 30.0, 30.0],
        ["1.png", "wrong_class", "dog", 0.9, "cat", 16.0, 10.0, 40.0, 40.0],
    ]


def test_captions_count_objects_and_false_detections() -> None:
    evidence = make_evaluator([make_object(CAT, HERE), make_object(DOG, FAR)], [(CAT, HERE, 0.9), (CAT, FAR, 0.9)])
    found = evidence.evidence()
    assert found is not None
    drawn = draw_examples(found, lambda name: np.zeros((200, 200, 3), dtype=np.uint8)).images
    assert [(example.kind, example.name, example.caption) for example in drawn[:2]] == [
        ("worst", "1.png", "F1 0.50: 1 of 2 objects found, 1 false detection"),
        ("best", "2.png", "F1 1.00: 2 of 2 objects found, 0 false detections"),
    ]
