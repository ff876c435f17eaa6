"""What an evaluation of a classifier keeps: scores and class of each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    figure_names: ClassVar[tuple[str, ...]] = ("top1", "top5", "mean_recall", "calibration_error")

    scores: NDArray[np.float32]
    ranking: NDArray[np.int32]
    labels: NDArray[np.int32]

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        is_found = self.ranking == self.labels[:, None]
        total = weights.sum(1)
        compute: dict[str, Callable[[], NDArray[np.float64]]] = {
            "top1": lambda: divide(weights @ is_found[:, 0], total),
            # five guesses are all guesses where there are five classes
            "top5": lambda: divide(weights @ is_found.any(1), total * (len(self.classes) > TOP)),
            "mean_recall": lambda: mean_defined(self.per_class(weights)),
            "calibration_error": lambda: divide(self._bin_errors(weights).sum(1), total),
        }
        return {name: compute[name]() for name in names}

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the recall of each class, ``[R, C]``, which is the ``top1`` of its images."""
        of_class = np.eye(len(self.classes))[self.labels]
        is_right = self.ranking[:, 0] == self.labels
        return divide(weights @ (of_class * is_right[:, None]), weights @ of_class)

    def image_scores(self) -> NDArray[np.float64]:
        """Returns the probability of the true class of each image, ``[N]``."""
        return np.take_along_axis(self.scores, self.labels[:, None], axis=1)[:, 0].astype(np.float64)

    def images_per_class(self) -> NDArray[np.int64]:
        return np.bincount(self.labels, minlength=len(self.classes))

    def annotations(self, image: int) -> list[NDArray[Any]]:
        return [self.labels[image : image + 1]]

    def confidence(self) -> NDArray[np.float64]:
        """Returns the score of the predicted class of each image, ``[N]``."""
        return np.take_along_axis(self.scores, self.ranking[:, :1], axis=1)[:, 0].astype(np.float64)

    def rank_errors(self) -> NDArray[np.intp]:
        """Returns the indices of the wrong images, those with the highest confidence first."""
        wrong = np.flatnonzero(self.ranking[:, 0] != self.labels)
        return wrong[np.argsort(-self.confidence()[wrong], kind="stable")]

    def confusion_matrix(self) -> NDArray[np.int64]:
        """Returns the number of images by true (row) and predicted class (column), ``[C, C]``."""
        count = len(self.classes)
        cells = self.labels.astype(np.int64) * count + self.ranking[:, 0]
        return np.bincount(cells, minlength=count * count).reshape(count, count)

    def reliability(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Returns mean confidence, accuracy and number of images of each bin, ``[bins]``; NaN for an empty one."""
        confidence, bins = self.confidence(), self._bins()
        is_right = (self.ranking[:, 0] == self.labels).astype(np.float64)
        counts = np.bincount(bins, minlength=BINS)
        return (
            divide(np.bincount(bins, confidence, BINS), counts),
            divide(np.bincount(bins, is_right, BINS), counts),
            counts,
        )

    def _bins(self) -> NDArray[np.int64]:
        """Returns the bin of each image, ``[N]``; a bin contains its upper bound."""
        return np.clip(np.ceil(self.confidence() * BINS).astype(np.int64) - 1, 0, BINS - 1)

    def _bin_errors(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the difference between correct images and confidence in each bin, ``[R, bins]``."""
        surplus = (self.ranking[:, 0] == self.labels) - self.confidence()
        return np.abs(weights @ (np.eye(BINS)[self._bins()] * surplus[:, None]))
