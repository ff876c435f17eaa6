"""What an evaluation of a segmenter keeps: confusion matrix and boundary pixels of each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..evidence import Evidence, FiguresByWeighting, Weights, divide, mean_defined


@dataclass(frozen=True)
class Boundaries:
    """Numbers of boundary pixels by image and class, B of them; classes without boundary in an image are left out.

    Attributes:
        images: ascending, ``[B]``.
        labels: classes, ``[B]``.
        pixels: ``[B, 4]``: boundary pixels of the mask, of the prediction, of the mask near one of the prediction, and
            of the prediction near one of the mask.
    """

    images: NDArray[np.int32]
    labels: NDArray[np.uint8]
    pixels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SegmentationEvidence(Evidence):
    """Entries of the images' confusion matrices that are not 0, E of them, and numbers of boundary pixels.

    Attributes:
        images: image of each entry, ascending, ``[E]``.
        truth: true class, ``[E]``.
        predicted: predicted class, ``[E]``.
        pixels: number of pixels, ``[E]``.
        boundaries: how well the boundaries of classes agree.
    """

    role: ClassVar[str] = "segmentation"
    figure_names: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy", "mean_recall", "boundary_f")

    images: NDArray[np.int32]
    truth: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    boundaries: Boundaries

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        correct, truth, _ = (weights @ counts for counts in self._counts)
        compute: dict[str, Callable[[], NDArray[np.float64]]] = {
            "miou": lambda: mean_defined(self.per_class(weights)),
            "pixel_accuracy": lambda: divide(correct.sum(1), truth.sum(1)),
            "mean_recall": lambda: mean_defined(divide(correct, truth)),
            "boundary_f": lambda: mean_defined(self.boundary_f_per_class(weights)),
        }
        return {name: compute[name]() for name in names}

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the IoU of each class, ``[R, C]``."""
        correct, truth, predicted = (weights @ counts for counts in self._counts)
        return divide(correct, truth + predicted - correct)

    def boundary_f_per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the boundary F-score of each class, ``[R, C]``; NaN without boundary in masks and predictions.

        Args:
            weights: of the images, ``[R, N]``: whole numbers, for which all sums are exact.
        """
        sums = weights @ self._boundary_pixels
        return compute_boundary_f(np.moveaxis(sums, 0, -1))

    def image_scores(self) -> NDArray[np.float64]:
        """Returns the mean IoU over the classes of each image's mask, ``[N]``; NaN if all its pixels are ignored."""
        return mean_defined(compute_image_iou(*self._counts))

    def images_per_class(self) -> NDArray[np.int64]:
        return (self._counts[1] > 0).sum(0)

    def annotations(self, image: int) -> list[NDArray[Any]]:
        """Returns the numbers of pixels and of boundary pixels of each class in the image's mask."""
        return [self._counts[1][image], self._boundary_pixels[0, image]]

    def confusion_matrix(self) -> NDArray[np.int64]:
        """Returns the number of pixels by true (row) and predicted class (column), ``[C, C]``."""
        matrix = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(matrix, (self.truth, self.predicted), self.pixels)
        return matrix

    @cached_property
    def _counts(self) -> list[NDArray[np.int64]]:
        """Returns the numbers of correct, true and predicted pixels by image and class, ``[N, C]`` each."""
        correct, truth, predicted = np.zeros((3, len(self.names), len(self.classes)), dtype=np.int64)
        np.add.at(truth, (self.images, self.truth), self.pixels)
        np.add.at(predicted, (self.images, self.predicted), self.pixels)
        np.add.at(correct, (self.images, self.truth), np.where(self.truth == self.predicted, self.pixels, 0))
        return [correct, truth, predicted]

    @cached_property
    def _boundary_pixels(self) -> NDArray[np.int64]:
        """Returns the four numbers of boundary pixels by image and class, ``[4, N, C]``."""
        pixels = np.zeros((4, len(self.names), len(self.classes)), dtype=np.int64)
        pixels[:, self.boundaries.images, self.boundaries.labels] = self.boundaries.pixels.T
        return pixels


def compute_image_iou(
    correct: NDArray[np.int64], truth: NDArray[np.int64], predicted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns the IoU of each class of a mask, ``[…, C]``; NaN for classes that the mask lacks.

    A stray pixel of such a class would count as much as a whole class if it had the IoU 0.

    Args:
        correct: numbers of correct pixels by class, ``[…, C]``.
        truth: the same of true pixels.
        predicted: the same of predicted pixels.
    """
    return np.where(truth > 0, divide(correct, truth + predicted - correct), np.nan)


def compute_boundary_f(pixels: NDArray[np.int64] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the harmonic mean of boundary precision and recall.

    Args:
        pixels: the four numbers of :class:`Boundaries`, ``[…, 4]``.

    Returns:
        ``[…]`` in 0 … 1; NaN if neither mask nor prediction has a boundary.
    """
    truth, predicted, found, right = np.moveaxis(pixels.astype(np.float64), -1, 0)
    f = divide(2 * found * right, found * predicted + right * truth)
    return np.where(np.isnan(f) & (truth + predicted > 0), 0.0, f)
