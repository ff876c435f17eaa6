"""Detections match as in pycocotools, and figures of weighted images are those of repeated images."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.detection.evaluation.coco_backends import build_pycocotools
from litmobile.tasks.detection.evaluation.evidence import DetectionEvidence
from litmobile.tasks.detection.evaluation.matching import AREAS, CATEGORY, IMAGE, SCORE, match
from litmobile.tasks.detection.evaluation.metrics import FIGURES, CocoEvaluator, DetectionTable
from support.data.coco import CASES, Content, Records, add_detections, compute_reference, make_coco

cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def evaluate(content: Content, detections: Records, image_ids: list[int] | None = None) -> CocoEvaluator:
    evaluator = CocoEvaluator(content, "pycocotools")
    add_detections(evaluator, image_ids or [image["id"] for image in content["images"]], detections)
    evaluator.compute()
    return evaluator


def get_evidence(evaluator: CocoEvaluator) -> DetectionEvidence:
    found = evaluator.evidence()
    assert found is not None
    return found


def assert_equal_figures(found: dict[str, np.ndarray], expected: dict[str, Any], row: int = 0) -> None:
    assert tuple(found) == FIGURES
    values = np.array([expected[name] for name in FIGURES], dtype=np.float64)  # None is NaN
    np.testing.assert_allclose([found[name][row] for name in FIGURES], values, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
@cases
def test_matches_equal_those_of_pycocotools(case: dict[str, Any], seed: int) -> None:
    evaluator = evaluate(*make_coco(seed, **case))
    detections = DetectionTable.from_images(evaluator.detections).with_images()
    found = match(evaluator.ground_truth, detections)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = build_pycocotools(evaluator.ground_truth, detections)
        reference.evaluate()
    areas = list(AREAS.values())
    compared = 0
    for expected in filter(None, reference.evalImgs):
        of_image = detections[found.rows, IMAGE] == expected["image_id"]
        at = np.flatnonzero(of_image & (detections[found.rows, CATEGORY] == expected["category_id"]))
        area = areas.index(tuple(expected["aRng"]))
        np.testing.assert_array_equal(detections[found.rows[at], SCORE], expected["dtScores"])
        np.testing.assert_array_equal(found.is_matched[at, area].T, expected["dtMatches"] > 0)
        np.testing.assert_array_equal(found.is_ignored[at, area].T, expected["dtIgnore"] > 0)
        compared += len(at)
    assert compared == len(AREAS) * len(found.rows) > 0


@pytest.mark.parametrize("seed", range(3))
@cases
def test_weights_of_1_give_the_figures_of_pycocotools(case: dict[str, Any], seed: int) -> None:
    evaluator = evaluate(*make_coco(seed, **case))
    evidence = get_evidence(evaluator)
    weights = np.ones((1, len(evidence.names)))
    result = evaluator.compute()
    assert_equal_figures(evidence.figures(weights, evidence.figure_names), result.figures)
    expected = np.array([*result.per_class["AP"].values()], dtype=np.float64)
    np.testing.assert_allclose(evidence.per_class(weights)[0], expected, rtol=0, atol=1e-12)


def repeat_images(content: Content, detections: Records, counts: list[int]) -> tuple[Content, Records]:
    """Return the data with each image as often as ``counts`` says."""
    repeated: Content = {"images": [], "annotations": [], "categories": content["categories"]}
    found: Records = []
    for image, count in zip(content["images"], counts, strict=True):
        for _ in range(count):
            image_id = len(repeated["images"]) + 1
            repeated["images"].append({**image, "id": image_id})
            for rows, copies in ((content["annotations"], repeated["annotations"]), (detections, found)):
                of_image = (row for row in rows if row["image_id"] == image["id"])
                copies += [{**row, "image_id": image_id, "id": len(copies) + k} for k, row in enumerate(of_image, 1)]
    return repeated, found


@pytest.mark.parametrize("case", [{}, {"crowds": 0.3}, {"images": 40, "objects": 30}], ids=str)
def test_a_weight_counts_an_image_several_times(case: dict[str, Any]) -> None:
    content, detections = make_coco(0, score_levels=10**6, **case)
    evidence = get_evidence(evaluate(content, detections))
    weights = np.random.default_rng(0).integers(0, 4, size=(5, len(evidence.names)))
    figures = evidence.figures(weights.astype(np.float64), evidence.figure_names)
    for row, counts in enumerate(weights.tolist()):
        repeated, found = repeat_images(copy.deepcopy(content), detections, counts)
        expected = compute_reference(repeated, found, [image["id"] for image in repeated["images"]])
        assert_equal_figures(figures, expected["figures"], row)


def test_evidence_is_of_the_evaluated_images_only() -> None:
    evaluator = evaluate(*make_coco(0, crowds=0.1), image_ids=[5, 2, 3])
    evidence = get_evidence(evaluator)
    assert evidence.names == ("1.png", "2.png", "4.png")
    assert_equal_figures(evidence.figures(np.ones((1, 3)), evidence.figure_names), evaluator.compute().figures)


def test_images_without_weight_have_no_figures() -> None:
    evidence = get_evidence(evaluate(*make_coco(0)))
    figures = evidence.figures(np.zeros((1, len(evidence.names))), evidence.figure_names)
    assert np.isnan([*figures.values()]).all()


def test_evidence_is_matched_once_for_each_evaluation() -> None:
    content, detections = make_coco(0)
    evaluator = evaluate(content, detections)
    first = get_evidence(evaluator)
    assert get_evidence(evaluator) is first
    evaluator.reset()
    assert evaluator.evidence() is None
