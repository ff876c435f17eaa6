"""What an evaluation of detections keeps: which detections of each image match an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...evidence import Evidence, FiguresByWeighting, Weights, mean_defined
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


@dataclass(frozen=True, kw_only=True)
class DetectionEvidence(Evidence):
    """Matched detections and objects of the evaluated images.

    Attributes:
        matched: which detections are right, wrong or ignored.
        boxes: x, y, width and height of the detections in pixels, ``[M, 4]``.
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

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        areas = {PRECISIONS[name][0] for name in names if name in PRECISIONS}
        precisions = {area: self._precisions(weights, area) for area in areas}
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

    def _counts(self, area: str) -> Flags:
        """Returns whether the evaluation of an area counts an object, ``[B]``."""
        return ~self.matched.is_object_ignored[:, list(AREAS).index(area)]

    def _precisions(self, weights: Weights, area: str) -> Floats:
        return average_precisions(self.matched, len(self.classes), weights, area)
