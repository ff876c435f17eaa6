"""Curves over scores agree with COCO's average precision and with counting by hand."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.detection.evaluation.curves import compute_reliability, compute_score_curve, precision_curves
from litmobile.tasks.detection.evaluation.weighted import average_precisions
from support.evidence import make_detection

CASES = [(20, 4, 3), (1, 1, 0), (3, 0, 5), (4, 6, 0), (2, 0, 0)]  # images, objects and wrong detections in each


@pytest.mark.parametrize(("images", "objects", "wrong"), CASES)
def test_mean_precision_is_the_average_precision(images: int, objects: int, wrong: int) -> None:
    evidence = make_detection(images, ["a", "b", "c"], objects=objects, wrong=wrong)
    curves = precision_curves(evidence.matched, 3)
    expected = average_precisions(evidence.matched, 3, np.ones((1, images)))[0]
    np.testing.assert_allclose(curves.mean(axis=2), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("images", "objects", "wrong"), CASES)
def test_precision_and_recall_above_a_score_are_counted(images: int, objects: int, wrong: int) -> None:
    evidence = make_detection(images, ["a", "b"], objects=objects, wrong=wrong)
    matched = evidence.matched
    counts, total = ~matched.is_ignored[:, 0, 0], (~matched.is_object_ignored[:, 0]).sum()
    curve = compute_score_curve(matched)
    assert set(curve.scores) == set(matched.scores[counts])
    for score, precision, recall in zip(curve.scores, curve.precision, curve.recall, strict=True):
        above = counts & (matched.scores >= score)
        right = (above & matched.is_matched[:, 0, 0]).sum()
        assert precision == right / above.sum()
        np.testing.assert_equal(recall, right / total if total else np.nan)


def test_the_threshold_of_the_evidence_has_the_highest_f1() -> None:
    evidence = make_detection(30, ["a", "b"])
    curve = compute_score_curve(evidence.matched)
    assert curve.scores[np.nanargmax(curve.f1)] == evidence.score_threshold


def test_reliability_counts_every_detection_once() -> None:
    matched = make_detection(30, ["a", "b"]).matched
    found = compute_reliability(matched)
    counts = ~matched.is_ignored[:, 0, 0]
    assert found.counts.sum() == counts.sum()
    inside = counts & (matched.scores >= 0.5) & (matched.scores < 0.6)
    assert found.precision[5] == pytest.approx(matched.is_matched[inside, 0, 0].mean())
    assert found.confidence[5] == pytest.approx(matched.scores[inside].mean())
    assert found.error == pytest.approx(
        np.nansum(np.abs(found.precision - found.confidence) * found.counts) / found.counts.sum()
    )
