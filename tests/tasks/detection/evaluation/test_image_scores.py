"""F1 of each image is that of the detections above the score that is best for the whole split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from litmobile.tasks.detection.evaluation.evidence import DetectionEvidence
from litmobile.tasks.detection.evaluation.metrics import CocoEvaluator
from support.data.coco import Content, Records, add_detections, make_coco


def get_evidence(content: Content, detections: Records) -> DetectionEvidence:
    evaluator = CocoEvaluator(content, "pycocotools")
    add_detections(evaluator, [image["id"] for image in content["images"]], detections)
    evaluator.compute()
    found = evaluator.evidence()
    assert found is not None
    return found


def count_all(evidence: DetectionEvidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return numbers of right and of all detections, and of objects of each image, without those that are ignored."""
    matched, size = evidence.matched, len(evidence.names)
    counts = ~matched.is_ignored[:, 0, 0]
    right = matched.is_matched[:, 0, 0] & counts
    found, detected = (np.bincount(matched.images[rows], minlength=size) for rows in (right, counts))
    return found, detected, np.bincount(matched.object_images[~evidence.is_crowd], minlength=size)


@pytest.mark.parametrize("case", [{}, {"crowds": 0.3}, {"score_levels": 3}, {"detected_images": 2}], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_maximises_f1(case: dict[str, Any], seed: int) -> None:
    content, detections = make_coco(seed, objects=15, found=25, **case)
    evidence = get_evidence(content, detections)
    f1: dict[float, float] = {}
    for threshold in sorted({row["score"] for row in detections}):
        kept = [row for row in detections if row["score"] >= threshold]
        found, detected, objects = count_all(get_evidence(content, kept))
        f1[threshold] = 2 * found.sum() / (detected.sum() + objects.sum())
    best = max(f1.values())
    assert evidence.score_threshold == max(threshold for threshold, value in f1.items() if value == best)
    kept = [row for row in detections if row["score"] >= evidence.score_threshold]
    found, detected, objects = count_all(get_evidence(content, kept))
    assert [*map(list, evidence.image_counts)] == [*map(list, (found, detected, objects))]
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(evidence.image_scores(), 2 * found / (detected + objects))


def test_without_detections_all_objects_are_missed() -> None:
    content, _ = make_coco(0, objects=5, images=9)
    evidence = get_evidence(content, [])
    has_objects = evidence.image_counts.objects > 0
    np.testing.assert_array_equal(evidence.image_scores(), np.where(has_objects, 0, np.nan))
