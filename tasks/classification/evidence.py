"""What an evaluation of a classifier keeps: scores and class of each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..evidence import Evidence, FiguresByWeighting, Weights, divide, mean_defined

TOP = 5
BINS = 15  # as in arXiv 1706.04599


@dataclass(frozen=True, kw_only=True)
class ClassificationEvidence(Evidence):
    """Scores and classes of the evaluated images.

    Attributes:
        scores: ``[N, C]``, 0 … 1.
        ranking: the classes of the highest scores, the best first, ``[N, min(5, C)]``.
        labels: class of each image, ``[N]``.
    """

    role: ClassVar[str] = "classification"

    scores: NDArray[np.float32]
    ranking: NDArray[np.int32]
    labels: NDArray[np.int32]

    def figures(self, weights: Weights) -> FiguresByWeighting:
        """Returns ``top1``, ``top5`` for more than five classes, ``mean_recall`` and ``calibration_error``."""
        is_found = self.ranking == self.labels[:, None]
        total = weights.sum(1)
        figures = {"top1": divide(weights @ is_found[:, 0], total)}
        if len(self.classes) > TOP:
            figures["top5"] = divide(weights @ is_found.any(1), total)
        figures["mean_recall"] = mean_defined(self.per_class(weights))
        figures["calibration_error"] = divide(self._bin_errors(weights).sum(1), total)
        return figures

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the recall of each class, ``[R, C]``."""
        of_class = np.eye(len(self.classes))[self.labels]
        is_right = self.ranking[:, 0] == self.labels
        return divide(weights @ (of_class * is_right[:, None]), weights @ of_class)

    def annotations(self) -> list[NDArray[Any]]:
        return [self.labels]

    def _bin_errors(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the difference between correct images and confidence in each bin, ``[R, bins]``."""
        confidence = np.take_along_axis(self.scores, self.ranking[:, :1], axis=1)[:, 0].astype(np.float64)
        bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        surplus = (self.ranking[:, 0] == self.labels) - confidence
        return np.abs(weights @ (np.eye(BINS)[bins] * surplus[:, None]))
