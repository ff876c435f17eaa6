"""COCO's figures for weighted images: a weight of 2 counts an image twice, and nothing is matched again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...evidence import Weights, divide
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
    objects = count_objects(matched, num_classes, weights, column)
    for category in range(num_classes):
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
            result[part, category] = average_class(detections, objects[part, category], weights[part])
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
    is_right = matched.is_matched[:, column] & ~matched.is_ignored[:, column] & (matched.ranks < limit)[:, None]
    rows, thresholds = np.nonzero(is_right)
    found = sum_by_image(
        weights,
        matched.images[rows],
        matched.categories[rows].astype(np.int64) * len(IOU_THRESHOLDS) + thresholds,
        num_classes * len(IOU_THRESHOLDS),
    )
    objects = count_objects(matched, num_classes, weights, column)
    return divide(found.reshape(len(weights), num_classes, len(IOU_THRESHOLDS)), np.expand_dims(objects, 2))


def count_objects(matched: Matched, num_classes: int, weights: Weights, area: int) -> Floats:
    """Returns the weighted number of objects of each class that are not ignored, ``[R, C]``."""
    counts = ~matched.is_object_ignored[:, area]
    return sum_by_image(weights, matched.object_images[counts], matched.object_categories[counts], num_classes)


def sum_by_image(weights: Weights, images: NDArray[np.int32], keys: NDArray[Any], num_keys: int) -> Floats:
    """Returns the weighted number of things with each key, ``[R, K]``.

    Args:
        weights: of the images, ``[R, N]``.
        images: image of each thing, ``[M]``.
        keys: number of each thing, from 0 to ``num_keys`` − 1, ``[M]``.
        num_keys: number of keys, K.
    """
    num_images = weights.shape[1]
    size = max(1, MAX_VALUES // max(1, num_images))  # columns of one matrix product
    order = np.argsort(keys, kind="stable")
    images, keys = images[order], keys[order].astype(np.int64)
    result = np.zeros((len(weights), num_keys))
    for start in range(0, num_keys, size):
        end = min(start + size, num_keys)
        rows = slice(*np.searchsorted(keys, (start, end)))
        places = images[rows].astype(np.int64) * (end - start) + keys[rows] - start
        counts = np.bincount(places, minlength=num_images * (end - start)).reshape(num_images, end - start)
        result[:, start:end] = weights @ counts.astype(np.float64)
    return result
