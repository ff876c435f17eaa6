"""Make evidence of the three tasks from random data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.detection.evaluation.evidence import DetectionEvidence
from litmobile.tasks.detection.evaluation.ground_truth import GroundTruth
from litmobile.tasks.segmentation.evidence import Boundaries, SegmentationEvidence

NO_BOUNDARIES = Boundaries(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8), np.zeros((0, 4), dtype=np.int64))


def make_classification(images: int, classes: Sequence[str], seed: int = 0) -> ClassificationEvidence:
    """Return evidence of a classifier that is right in most images."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(classes), images)
    logits = random.normal(0, 1, (images, len(classes)))
    logits[np.arange(images), labels] += 1
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return ClassificationEvidence(
        classes=tuple(classes),
        names=tuple(f"{k}.jpg" for k in range(images)),
        scores=scores.astype(np.float32),
        ranking=np.argsort(-scores, axis=1)[:, :5].astype(np.int32),
        labels=labels.astype(np.int32),
    )


def make_segmentation(images: int, classes: Sequence[str], seed: int = 0) -> SegmentationEvidence:
    """Return evidence of a segmenter that is right in most pixels."""
    random = np.random.default_rng(seed)
    matrices = random.integers(0, 20, (images, len(classes), len(classes))) + 50 * np.eye(len(classes), dtype=np.int64)
    at = np.nonzero(matrices)
    pixels = random.integers(1, 50, (images * len(classes), 2))
    return SegmentationEvidence(
        classes=tuple(classes),
        names=tuple(f"{k}.jpg" for k in range(images)),
        images=at[0].astype(np.int32),
        truth=at[1].astype(np.uint8),
        predicted=at[2].astype(np.uint8),
        pixels=matrices[at],
        boundaries=Boundaries(
            images=np.repeat(np.arange(images, dtype=np.int32), len(classes)),
            labels=np.tile(np.arange(len(classes), dtype=np.uint8), images),
            pixels=np.column_stack((pixels, pixels // 2)),
        ),
    )


def make_detection(
    images: int, classes: Sequence[str], seed: int = 0, objects: int = 4, wrong: int = 3
) -> DetectionEvidence:
    """Return evidence of a detector that finds most objects, and detects as many wrong ones as given in each image."""
    random = np.random.default_rng(seed)
    count = images * objects
    truth = GroundTruth(
        image_ids=np.arange(images),
        image_names=np.array([f"{k}.jpg" for k in range(images)], dtype=np.str_),
        category_ids=np.arange(len(classes)),
        classes=tuple(classes),
        images=np.repeat(np.arange(images), objects),
        categories=random.integers(0, len(classes), count),
        boxes=np.column_stack((random.uniform(0, 300, (count, 2)), random.uniform(10, 150, (count, 2)))),
        areas=np.full(count, np.nan),
        is_crowd=random.random(count) < 0.1,
    )
    truth = replace(truth, areas=truth.boxes[:, 2] * truth.boxes[:, 3])
    is_found = random.random(count) < 0.8
    found = np.column_stack(
        (truth.images, truth.boxes + random.normal(0, 6, (count, 4)), random.beta(5, 3, count), truth.categories)
    )[is_found]
    found[:, 3:5] = np.maximum(found[:, 3:5], 1)
    more = images * wrong
    others = np.column_stack(
        (
            np.repeat(np.arange(images), wrong),
            random.uniform(0, 300, (more, 2)),
            random.uniform(10, 150, (more, 2)),
            random.beta(2, 5, more),
            random.integers(0, len(classes), more),
        )
    )
    return DetectionEvidence.from_detections(truth, np.arange(images), np.concatenate((found, others)))
