"""COCO's figures for weighted images: a weight of 2 counts an image twice, and nothing is matched again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...evidence import Weights
from .ground_truth import Floats
from .matching import AREAS, IOU_THRESHOLDS, Flags

RECALLS = np.linspace(0, 1, 101)
MAX_VALUES = 2**21  # of an intermediate array; more would not fit into a processor's cache


@dataclass(frozen=True)
class Matched:
    """Matched detections and objects of the evaluated images, N of them.

    Attributes:
        images: image of each detection, ``[M]``.
        categories: class of each detection, ``[M]``, ascending.
        ranks: position of each detection among those of its class and image, from 0, ``[M]``.
        scores: ``[M]``.
        is_matched: ``[M, A, T]``, by area and IoU threshold.
        is_ignored: ``[M, A, T]``.
        object_images: image of each object, ``[B]``.
        object_categories: class of each object, ``[B]``.
        is_object_ignored: ``[B, A]``.
    """

    images: NDArray[np.int32]
    categories: NDArray[np.int32]
    ranks: NDArray[np.uint8]
    scores: Floats
    is_matched: Flags
    is_ignored: Flags
    object_images: NDArray[np.int32]
    object_categories: NDArray[np.int32]
    is_object_ignored: Flags


def average_precisions(matched: Matched, num_classes: int, weights: Weights, area: str = "all") -> Floats:
    """Returns the average precision by weighting, class and IoU threshold, ``[R, C, T]``; NaN without objects.

    Args:
        matched: detections and objects.
        num_classes: number of classes, C.
        weights: of the images, ``[R, N]``.
        area: size of the objects that count, a key of ``AREAS``.
    """
    result = np.full((len(weights), num_classes, len(IOU_THRESHOLDS)), np.nan)
    column = list(AREAS).index(area)
    for category in range(num_classes):
        objects = count_objects(matched, weights, category, column)
        rows = slice(*np.searchsorted(matched.categories, (category, category + 1)))
        order = np.argsort(-matched.scores[rows], kind="stable")
        detections = Ranked(
            matched.images[rows][order],
            matched.is_matched[rows, column][order],
            matched.is_ignored[rows, column][order],
        )
        size = max(1, MAX_VALUES // max(1, len(order)))
        for start in range(0, len(weights), size):
            part = slice(start, start + size)
            result[part, category] = average_class(detections, objects[part], weights[part])
    return result


class Ranked(NamedTuple):
    """Detections of one class and area, best first.

    Attributes:
        images: ``[M]``.
        is_matched: ``[M, T]``.
        is_ignored: ``[M, T]``.
    """

    images: NDArray[np.int32]
    is_matched: Flags
    is_ignored: Flags


def average_class(detections: Ranked, objects: Floats, weights: Weights) -> Floats:
    """Returns the average precision of one class, ``[R, T]``.

    Args:
        detections: those of the class.
        objects: weighted number of objects, ``[R]``.
        weights: ``[R, N]``.
    """
    result = np.full((len(weights), len(IOU_THRESHOLDS)), np.nan)
    has_objects = objects > 0
    result[has_objects] = 0
    is_right = detections.is_matched & ~detections.is_ignored
    end = int(np.flatnonzero(is_right.any(axis=1))[-1]) + 1 if is_right.any() else 0
    if not end or not has_objects.any():  # what follows the last right detection changes nothing
        return result
    weight = weights[has_objects][:, detections.images[:end]]
    # ignored detections are nearly the same at all thresholds, so the sum of most others is computed once
    always = ~detections.is_ignored[:end].any(axis=1)
    certain = np.cumsum(weight * always, axis=1)
    for threshold in range(len(IOU_THRESHOLDS)):
        at = np.flatnonzero(is_right[:end, threshold])
        if not len(at):
            continue
        counted = certain[:, at]
        others = np.flatnonzero(~always & ~detections.is_ignored[:end, threshold])
        if len(others):
            sums = np.cumsum(weight[:, others], axis=1)
            sums = np.concatenate((np.zeros((len(weight), 1)), sums), axis=1)
            counted = counted + sums[:, np.searchsorted(others, at, side="right")]
        right = np.cumsum(weight[:, at], axis=1)
        result[has_objects, threshold] = integrate(right / objects[has_objects, None], right, counted)
    return result


def integrate(recall: Floats, right: Floats, counted: Floats) -> Floats:
    """Returns the mean over 101 recalls of the highest precision at that recall or a higher one, ``[R]``.

    Args:
        recall: after each right detection, ``[R, P]``.
        right: weighted number of right detections up to there, ``[R, P]``.
        counted: weighted number of all detections up to there, ``[R, P]``.
    """
    precision = right / (counted + np.spacing(1))  # as pycocotools
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, recall, side="right")
    return (envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)


def recalls(matched: Matched, num_classes: int, weights: Weights, limit: int, area: str = "all") -> Floats:
    """Returns the recall of the best ``limit`` detections of each image, ``[R, C, T]``; NaN without objects.

    Args:
        matched: detections and objects.
        num_classes: number of classes, C.
        weights: of the images, ``[R, N]``.
        limit: detections of an image and class that count.
        area: size of the objects that count, a key of ``AREAS``.
    """
    column = list(AREAS).index(area)
    result = np.full((len(weights), num_classes, len(IOU_THRESHOLDS)), np.nan)
    is_right = matched.is_matched[:, column] & ~matched.is_ignored[:, column] & (matched.ranks < limit)[:, None]
    for category in range(num_classes):
        objects = count_objects(matched, weights, category, column)
        rows = slice(*np.searchsorted(matched.categories, (category, category + 1)))
        for threshold in range(len(IOU_THRESHOLDS)):
            images = matched.images[rows][is_right[rows, threshold]]
            found = weights @ np.bincount(images, minlength=weights.shape[1])
            np.divide(found, objects, out=result[:, category, threshold], where=objects > 0)
    return result


def count_objects(matched: Matched, weights: Weights, category: int, area: int) -> Floats:
    """Returns the weighted number of objects of a class that are not ignored, ``[R]``."""
    counts = (matched.object_categories == category) & ~matched.is_object_ignored[:, area]
    return weights @ np.bincount(matched.object_images[counts], minlength=weights.shape[1])
