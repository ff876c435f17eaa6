"""Matches detections with objects as COCO's evaluation does, in all images and classes at once."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .ground_truth import Floats, GroundTruth, Integers

Flags = NDArray[np.bool_]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: least and greatest area of an object in pixels, by name
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
MAX_DETECTIONS = 100  # of one class in one image
REGULAR = 2.0  # added to the IoU with an object that is not ignored: larger than any IoU

# columns of detections
IMAGE, BOX, SCORE, CATEGORY = 0, slice(1, 5), 5, 6


class Matches(NamedTuple):
    """Which detections are right, wrong or ignored, by area (A) and IoU threshold (T).

    Attributes:
        rows: the detections that count, by class, image and falling score, ``[M]``; an image has at most 100 of a
            class.
        ranks: position of each of them among those of its class and image, from 0, ``[M]``.
        is_matched: whether it has an object, ``[M, A, T]``.
        is_ignored: whether it is neither right nor wrong: its object is ignored, or it has none and is itself outside
            the area, ``[M, A, T]``.
    """

    rows: Integers
    ranks: Integers
    is_matched: Flags
    is_ignored: Flags


def find_ignored_objects(truth: GroundTruth) -> Flags:
    """Returns whether the evaluation of each area ignores an object, ``[B, A]``: crowds, and those of other sizes."""
    return truth.is_crowd[:, None] | is_outside(truth.areas)


def is_outside(areas: Floats) -> Flags:
    """Returns whether areas in pixels ``[N]`` are outside each of COCO's areas, ``[N, A]``."""
    low, high = np.array(list(AREAS.values())).T
    return (areas[:, None] < low) | (areas[:, None] > high)


def match(truth: GroundTruth, detections: Floats) -> Matches:
    """Matches detections with the objects of their image and class.

    The best detection chooses first. It gets the object with the highest IoU of at least the threshold, among those
    that are not taken. An ignored object is chosen only without others, and crowds are never taken.

    Args:
        truth: the objects.
        detections: index of the image, x, y, width, height, score and index of the class, ``[K, 7]``. Of equal scores,
            the first is the better one.
    """
    rows, ranks, groups = order_detections(detections, len(truth.image_ids))
    shape = len(rows), len(AREAS), len(IOU_THRESHOLDS)
    is_matched, is_ignored = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    pairs, objects, overlaps = find_pairs(truth, detections[rows], groups)
    ignored_objects = find_ignored_objects(truth)
    is_taken = np.zeros((len(truth.boxes), *shape[1:]), dtype=bool)
    by_rank = np.argsort(ranks[pairs], kind="stable")
    bounds = np.searchsorted(ranks[pairs][by_rank], np.arange(MAX_DETECTIONS + 1))
    for start, end in pairwise(bounds.tolist()):
        if start == end:
            continue
        at = by_rank[start:end]
        chosen = choose_objects(pairs[at], objects[at], overlaps[at], ignored_objects, is_taken)
        owners, area, threshold = np.nonzero(chosen >= 0)
        found = chosen[owners, area, threshold]
        detected = np.unique(pairs[at])[owners]
        is_matched[detected, area, threshold] = True
        is_ignored[detected, area, threshold] = ignored_objects[found, area]
        is_taken[found, area, threshold] = ~truth.is_crowd[found]
    boxes = detections[rows, BOX]
    is_ignored |= ~is_matched & is_outside(boxes[:, 2] * boxes[:, 3])[:, :, None]
    return Matches(rows, ranks, is_matched, is_ignored)


def order_detections(detections: Floats, num_images: int) -> tuple[Integers, Integers, Integers]:
    """Returns the detections that count in COCO's order, their ranks, and a number for their class and image."""
    group = detections[:, CATEGORY].astype(np.int64) * num_images + detections[:, IMAGE].astype(np.int64)
    rows = np.lexsort((-detections[:, SCORE], group))
    group = group[rows]
    ranks = np.arange(len(rows)) - np.searchsorted(group, group)
    counts = ranks < MAX_DETECTIONS
    return rows[counts], ranks[counts], group[counts]


def find_pairs(truth: GroundTruth, detections: Floats, groups: Integers) -> tuple[Integers, Integers, Floats]:
    """Returns the pairs of a detection and an object that may match: their indices and IoU, ``[P]`` each.

    Args:
        truth: the objects.
        detections: those that count, in order.
        groups: a number for class and image of each detection.
    """
    group = truth.categories * len(truth.image_ids) + truth.images
    order = np.argsort(group, kind="stable")
    first, last = (np.searchsorted(group[order], groups, side=side) for side in ("left", "right"))
    counts = last - first
    pairs = np.repeat(np.arange(len(groups)), counts)
    offsets = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
    objects = order[np.repeat(first, counts) + offsets]
    overlaps = compute_overlaps(detections[pairs, BOX], truth.boxes[objects], truth.is_crowd[objects])
    may_match = overlaps >= IOU_THRESHOLDS[0]
    return pairs[may_match], objects[may_match], overlaps[may_match]


def compute_overlaps(boxes: Floats, objects: Floats, is_crowd: Flags) -> Floats:
    """Returns the IoU of each detection with its object, ``[P]``; for a crowd, the share of the detection in it.

    Args:
        boxes: x, y, width and height of detections, ``[P, 4]``.
        objects: the same of objects, ``[P, 4]``.
        is_crowd: ``[P]``.
    """
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], objects[:, :2] + objects[:, 2:])
    sides = np.maximum(end - np.maximum(boxes[:, :2], objects[:, :2]), 0)
    intersection = sides[:, 0] * sides[:, 1]
    area, object_area = boxes[:, 2] * boxes[:, 3], objects[:, 2] * objects[:, 3]
    union = np.where(is_crowd, area, area + object_area - intersection)
    return np.divide(intersection, union, out=np.zeros_like(union), where=intersection > 0)


def choose_objects(
    pairs: Integers, objects: Integers, overlaps: Floats, ignored_objects: Flags, is_taken: Flags
) -> Integers:
    """Returns the object of each detection by area and threshold, −1 for none, ``[D, A, T]``.

    Args:
        pairs: detection of each pair, ascending, ``[P]``; no two detections share an object of theirs.
        objects: object of each pair, ``[P]``.
        overlaps: IoU of each pair, ``[P]``.
        ignored_objects: ``[B, A]``.
        is_taken: ``[B, A, T]``.
    """
    can_match = ~is_taken[objects] & (overlaps[:, None] >= np.minimum(IOU_THRESHOLDS, 1 - 1e-10))[:, None]
    preference = overlaps[:, None] + REGULAR * ~ignored_objects[objects]
    value = np.where(can_match, preference[:, :, None], -1.0)
    starts = np.flatnonzero(np.diff(pairs, prepend=-1))
    best = np.maximum.reduceat(value, starts)
    is_best = (value == np.repeat(best, np.diff(starts, append=len(pairs)), axis=0)) & can_match
    # of equally good objects, COCO takes the last
    position = np.maximum.reduceat(np.where(is_best, np.arange(len(pairs))[:, None, None], -1), starts)
    return np.where(position >= 0, objects[position], -1)
