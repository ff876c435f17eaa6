"""What an evaluation of detections keeps: which detections of each image match an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ....errors import EvaluationError
from ...evidence import Evidence, FiguresByWeighting, Weights, divide, mean_defined
from .curves import ALL, IOU_50, compute_score_curve
from .ground_truth import Floats, GroundTruth, Integers
from .matching import AREAS, BOX, CATEGORY, IMAGE, SCORE, Flags, find_ignored_objects, match
from .weighted import Matched, average_precisions, recalls

ALL_THRESHOLDS = slice(None)
#: area and IoU thresholds of the figures of average precision
PRECISIONS = {
    "AP": ("all", ALL_THRESHOLDS),
    "AP50": ("all", slice(0, 1)),
    "AP75": ("all", slice(5, 6)),
    "AP_small": ("small", ALL_THRESHOLDS),
    "AP_medium": ("medium", ALL_THRESHOLDS),
    "AP_large": ("large", ALL_THRESHOLDS),
}
#: the figures of small, medium and large objects
SIZES = ("AP_small", "AP_medium", "AP_large")
#: area and number of detections of an image and class of the figures of recall
RECALLS = {
    "AR_1": ("all", 1),
    "AR_10": ("all", 10),
    "AR_100": ("all", 100),
    "AR_small": ("small", 100),
    "AR_medium": ("medium", 100),
    "AR_large": ("large", 100),
}


class ImageCounts(NamedTuple):
    """Numbers of found objects, of detections and of objects in each image, ``[N]`` each, without ignored ones."""

    found: Integers
    detections: Integers
    objects: Integers


@dataclass(frozen=True, kw_only=True)
class DetectionEvidence(Evidence):
    """Matched detections and objects of the evaluated images.

    Attributes:
        matched: which detections are right, wrong or ignored.
        boxes: x, y, width and height of the detections in pixels, ``[M, 4]``; ``[0, 4]`` in compact evidence.
        object_boxes: x, y, width and height of the objects in pixels, ``[B, 4]``.
        object_areas: in pixels, ``[B]``.
        is_crowd: whether an object is a group, ``[B]``.
    """

    role: ClassVar[str] = "detection"
    figure_names: ClassVar[tuple[str, ...]] = (*PRECISIONS, *RECALLS)

    matched: Matched
    boxes: NDArray[np.float32]
    object_boxes: Floats
    object_areas: Floats
    is_crowd: Flags

    @classmethod
    def from_detections(cls, truth: GroundTruth, images: Integers, detections: Floats) -> Self:
        """Matches the detections of the evaluated images.

        Args:
            truth: the objects.
            images: indices of the evaluated images, ascending, ``[N]``.
            detections: index of the image, x, y, width, height, score and index of the class, ``[K, 7]``.
        """
        matches = match(truth, detections)
        rows = detections[matches.rows]
        objects = np.flatnonzero(np.isin(truth.images, images))
        matched = Matched(
            images=np.searchsorted(images, rows[:, IMAGE]).astype(np.int32),
            categories=rows[:, CATEGORY].astype(np.int32),
            ranks=matches.ranks.astype(np.uint8),
            scores=rows[:, SCORE],
            is_matched=matches.is_matched,
            is_ignored=matches.is_ignored,
            object_images=np.searchsorted(images, truth.images[objects]).astype(np.int32),
            object_categories=truth.categories[objects].astype(np.int32),
            is_object_ignored=find_ignored_objects(truth)[objects],
        )
        return cls(
            classes=truth.classes,
            names=tuple(truth.image_names[images].tolist()),
            matched=matched,
            boxes=rows[:, BOX].astype(np.float32),
            object_boxes=truth.boxes[objects],
            object_areas=truth.areas[objects],
            is_crowd=truth.is_crowd[objects],
        )

    def compact(self) -> Self:
        """Returns the evidence without the boxes of the detections, which are most of its bytes."""
        return replace(self, boxes=self.boxes[:0])

    def check_boxes(self) -> None:
        """Raises EvaluationError if the evidence is compact, see :meth:`compact`."""
        if len(self.boxes) < len(self.matched.scores):
            raise EvaluationError("This evidence was stored without boxes, as cells of studies are: train it as a run.")

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        return self._compute(weights, names, {})

    def figures_and_classes(self, weights: Weights, names: Sequence[str]) -> tuple[FiguresByWeighting, Floats]:
        precisions = {"all": self._precisions(weights, "all")}
        return self._compute(weights, names, precisions), mean_defined(precisions["all"], 2)

    def _compute(self, weights: Weights, names: Sequence[str], precisions: dict[str, Floats]) -> FiguresByWeighting:
        """Computes figures; ``precisions`` are the average precisions by area that are known already."""
        areas = {PRECISIONS[name][0] for name in names if name in PRECISIONS}
        precisions = precisions | {area: self._precisions(weights, area) for area in areas - set(precisions)}
        figures: FiguresByWeighting = {}
        for name in names:
            if name in PRECISIONS:
                area, thresholds = PRECISIONS[name]
                values = precisions[area][:, :, thresholds]
            else:
                area, limit = RECALLS[name]
                values = recalls(self.matched, len(self.classes), weights, limit, area)
            figures[name] = mean_defined(values, (1, 2))
        return figures

    def per_class(self, weights: Weights) -> Floats:
        return mean_defined(self._precisions(weights, "all"), 2)

    @cached_property
    def score_threshold(self) -> float:
        """Score above which detections have the highest F1 over all images and classes at IoU 0.5.

        It is the highest of equally good ones, and 1 without detections. All classes share it.
        """
        curve = compute_score_curve(self.matched)
        return float(curve.scores[curve.f1.argmax()]) if len(curve.scores) else 1.0

    @property
    def is_right(self) -> Flags:
        """Whether a detection finds an object of any size at IoU 0.5, ``[M]``."""
        return self.matched.is_matched[:, ALL, IOU_50] & ~self.is_ignored

    @property
    def is_ignored(self) -> Flags:
        """Whether a detection is neither right nor wrong at IoU 0.5, ``[M]``."""
        return self.matched.is_ignored[:, ALL, IOU_50]

    @cached_property
    def image_counts(self) -> ImageCounts:
        """Numbers of detections of each image whose scores reach :attr:`score_threshold`, and of its objects."""
        images, size = self.matched.images, len(self.names)
        is_counted = (self.matched.scores >= self.score_threshold) & ~self.is_ignored
        is_object = ~self.matched.is_object_ignored[:, ALL]
        return ImageCounts(
            np.bincount(images[is_counted & self.is_right], minlength=size),
            np.bincount(images[is_counted], minlength=size),
            np.bincount(self.matched.object_images[is_object], minlength=size),
        )

    def image_scores(self) -> Floats:
        """Returns F1 of each image at :attr:`score_threshold`, ``[N]``; NaN without objects and detections.

        Ignored objects (crowds and difficult ones) and their detections do not count.
        """
        found, detections, objects = self.image_counts
        return divide(2 * found, detections + objects)

    def images_per_class(self) -> Integers:
        keys = np.stack((self.matched.object_categories, self.matched.object_images))
        categories, _ = np.unique(keys[:, self._counts("all")], axis=1)
        return np.bincount(categories, minlength=len(self.classes))

    def images_per_size(self) -> dict[str, int]:
        """Returns the number of images with objects of each size, by the name of its figure."""
        images = self.matched.object_images
        return {name: len(np.unique(images[self._counts(PRECISIONS[name][0])])) for name in SIZES}

    def annotations(self, image: int) -> list[NDArray[Any]]:
        rows = slice(*np.searchsorted(self.matched.object_images, (image, image + 1)))
        categories = self.matched.object_categories[rows]
        return [categories, self.object_boxes[rows], self.object_areas[rows], self.is_crowd[rows]]

    def ground_truth(self) -> GroundTruth:
        """Returns the objects of the evaluated images, which are numbered from 0, as are the classes."""
        return GroundTruth(
            image_ids=np.arange(len(self.names)),
            image_names=np.array(self.names, dtype=np.str_),
            category_ids=np.arange(len(self.classes)),
            classes=self.classes,
            images=self.matched.object_images.astype(np.int64),
            categories=self.matched.object_categories.astype(np.int64),
            boxes=self.object_boxes,
            areas=self.object_areas,
            is_crowd=self.is_crowd,
        )

    def detections(self) -> Floats:
        """Returns index of the image, x, y, width, height, score and class index of the detections, ``[M, 7]``.

        Raises:
            EvaluationError: the evidence is compact, without boxes.
        """
        self.check_boxes()
        matched = self.matched
        return np.column_stack((matched.images, self.boxes, matched.scores, matched.categories)).astype(np.float64)

    def _counts(self, area: str) -> Flags:
        """Returns whether the evaluation of an area counts an object, ``[B]``."""
        return ~self.matched.is_object_ignored[:, list(AREAS).index(area)]

    def _precisions(self, weights: Weights, area: str) -> Floats:
        return average_precisions(self.matched, len(self.classes), weights, area)
