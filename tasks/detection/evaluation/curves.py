"""Curves of precision, recall and calibration over the scores of matched detections."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...evidence import divide
from .ground_truth import Floats
from .matching import IOU_THRESHOLDS
from .weighted import RECALLS, Matched

ALL, IOU_50 = 0, 0  # index of the area and of the IoU threshold
BINS = 10  # of scores


def precision_curves(matched: Matched, num_classes: int) -> Floats:
    """Returns the precision at 101 recalls by class and IoU threshold, ``[C, T, 101]``; NaN without objects.

    It is the highest precision at that recall or a higher one, as in COCO's evaluation. Its mean is the average
    precision.
    """
    result = np.full((num_classes, len(IOU_THRESHOLDS), len(RECALLS)), np.nan)
    counts = ~matched.is_object_ignored[:, ALL]
    objects = np.bincount(matched.object_categories[counts], minlength=num_classes)
    for category in np.flatnonzero(objects).tolist():
        rows = slice(*np.searchsorted(matched.categories, (category, category + 1)))
        order = np.argsort(-matched.scores[rows], kind="stable")
        is_matched, is_counted = matched.is_matched[rows, ALL][order], ~matched.is_ignored[rows, ALL][order]
        for threshold in range(len(IOU_THRESHOLDS)):
            is_right = is_matched[:, threshold][is_counted[:, threshold]]
            right = np.cumsum(is_right)
            precision = right / np.arange(1, len(right) + 1)
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            at = np.searchsorted(right / objects[category], RECALLS, side="left")
            result[category, threshold] = np.append(envelope, 0)[at]
    return result


class ScoreCurve(NamedTuple):
    """Precision and recall of the detections above each score, over all classes at IoU 0.5.

    Attributes:
        scores: descending, ``[K]``.
        precision: ``[K]``.
        recall: ``[K]``; NaN without objects.
        f1: ``[K]``; 0 without objects.
    """

    scores: Floats
    precision: Floats
    recall: Floats
    f1: Floats


def compute_score_curve(matched: Matched) -> ScoreCurve:
    """Computes precision and recall above each score; ignored objects and their detections do not count."""
    scores, is_right = counted_detections(matched)
    order = np.argsort(-scores, kind="stable")
    right = np.cumsum(is_right[order])
    is_last = np.diff(scores[order], append=-np.inf) < 0  # of equal scores, all are above the threshold or none
    objects = np.count_nonzero(~matched.is_object_ignored[:, ALL])
    right, numbers = right[is_last], np.arange(1, len(right) + 1)[is_last]
    return ScoreCurve(
        scores=scores[order][is_last],
        precision=right / numbers,
        recall=divide(right, np.full(len(numbers), objects)),
        f1=2 * right / (numbers + objects),
    )


class Reliability(NamedTuple):
    """Scores of detections and how many of these are right, in bins of equal width.

    Attributes:
        confidence: mean score of each bin, ``[10]``; NaN for an empty one.
        precision: share of its detections that match an object at IoU 0.5, ``[10]``.
        counts: number of its detections, ``[10]``.
    """

    confidence: Floats
    precision: Floats
    counts: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: mean difference of the two, weighted by the number of detections."""
        gaps = np.nan_to_num(np.abs(self.confidence - self.precision))
        return float((gaps * self.counts).sum() / max(1.0, self.counts.sum()))


def compute_reliability(matched: Matched) -> Reliability:
    """Compares scores with the share of right detections at IoU 0.5."""
    scores, is_right = counted_detections(matched)
    bins = np.minimum((np.clip(scores, 0, 1) * BINS).astype(np.int64), BINS - 1)
    counts, right, total = (np.bincount(bins, values, BINS) for values in (np.ones(len(bins)), is_right, scores))
    return Reliability(divide(total, counts), divide(right, counts), counts.astype(np.float64))


def counted_detections(matched: Matched) -> tuple[Floats, Floats]:
    """Returns the scores of the detections that are right or wrong at IoU 0.5, and which are right (1.0), ``[K]``."""
    counts = ~matched.is_ignored[:, ALL, IOU_50]
    return matched.scores[counts], matched.is_matched[counts, ALL, IOU_50].astype(np.float64)
