"""What an evaluation of detections keeps: which detections of each image match an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...evidence import Evidence, FiguresByWeighting, Weights, mean_defined
from ..ground_truth import Floats, GroundTruth, Integers
from .matching import AREAS, BOX, CATEGORY, IMAGE, IOU_THRESHOLDS, SCORE, Flags, find_ignored_objects, match
from .weighted import Matched, average_precisions, recalls

SIZES = [name for name in AREAS if name != "all"]


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

    def figures(self, weights: Weights) -> FiguresByWeighting:
        """Returns COCO's twelve figures, ``[R]`` each."""
        precisions = self._precisions(weights)
        figures = {"AP": precisions, "AP50": precisions[:, :, :1], "AP75": precisions[:, :, IOU_THRESHOLDS == 0.75]}
        figures |= {f"AP_{size}": self._precisions(weights, size) for size in SIZES}
        figures |= {f"AR_{limit}": self._recalls(weights, limit) for limit in (1, 10, 100)}
        figures |= {f"AR_{size}": self._recalls(weights, 100, size) for size in SIZES}
        return {name: mean_defined(values, (1, 2)) for name, values in figures.items()}

    def per_class(self, weights: Weights) -> Floats:
        return mean_defined(self._precisions(weights), 2)

    def annotations(self) -> list[NDArray[Any]]:
        objects = [self.matched.object_images, self.matched.object_categories]
        return [*objects, self.object_boxes, self.object_areas, self.is_crowd]

    def _precisions(self, weights: Weights, area: str = "all") -> Floats:
        return average_precisions(self.matched, len(self.classes), weights, area)

    def _recalls(self, weights: Weights, limit: int, area: str = "all") -> Floats:
        return recalls(self.matched, len(self.classes), weights, limit, area)
