"""Curves over scores agree with COCO's average precision and with counting by hand."""

from __future__ import annotations

from dataclasses import replace

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
    for score, precision, recall, f1 in zip(*curve, strict=True):
        above = counts & (matched.scores >= score)
        right = (above & matched.is_matched[:, 0, 0]).sum()
        assert precision == right / above.sum()
        np.testing.assert_equal(recall, right / total if total else np.nan)
        assert f1 == 2 * right / (above.sum() + total)


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


@pytest.mark.filterwarnings("error")
def test_scores_beyond_1_are_in_the_last_bin() -> None:
    matched = make_detection(3, ["a"]).matched
    found = compute_reliability(replace(matched, scores=np.where(matched.scores > 0.5, 1e308, -5.0)))
    assert found.counts[-1] == (matched.scores[~matched.is_ignored[:, 0, 0]] > 0.5).sum()
    assert found.counts[0] + found.counts[-1] == found.counts.sum()
