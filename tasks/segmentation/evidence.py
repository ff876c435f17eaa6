"""What an evaluation of a segmenter keeps: the confusion matrix of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..evidence import Evidence, FiguresByWeighting, Weights, divide, mean_defined


@dataclass(frozen=True, kw_only=True)
class SegmentationEvidence(Evidence):
    """Entries of the images' confusion matrices that are not 0, E of them.

    Attributes:
        images: image of each entry, ascending, ``[E]``.
        truth: true class, ``[E]``.
        predicted: predicted class, ``[E]``.
        pixels: number of pixels, ``[E]``.
    """

    role: ClassVar[str] = "segmentation"
    figure_names: ClassVar[tuple[str, ...]] = ("miou", "pixel_accuracy", "mean_recall")

    images: NDArray[np.int32]
    truth: NDArray[np.uint8]
    predicted: NDArray[np.uint8]
    pixels: NDArray[np.int64]

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        correct, truth, _ = (weights @ counts for counts in self._counts)
        figures = {
            "miou": mean_defined(self.per_class(weights)),
            "pixel_accuracy": divide(correct.sum(1), truth.sum(1)),
            "mean_recall": mean_defined(divide(correct, truth)),
        }
        return {name: figures[name] for name in names}

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the IoU of each class, ``[R, C]``."""
        correct, truth, predicted = (weights @ counts for counts in self._counts)
        return divide(correct, truth + predicted - correct)

    def images_per_class(self) -> NDArray[np.int64]:
        return (self._counts[1] > 0).sum(0)

    def annotations(self, image: int) -> list[NDArray[Any]]:
        """Returns the number of pixels of each class in the image."""
        return [self._counts[1][image]]

    @cached_property
    def _counts(self) -> list[NDArray[np.int64]]:
        """Returns the numbers of correct, true and predicted pixels by image and class, ``[N, C]`` each."""
        correct, truth, predicted = np.zeros((3, len(self.names), len(self.classes)), dtype=np.int64)
        np.add.at(truth, (self.images, self.truth), self.pixels)
        np.add.at(predicted, (self.images, self.predicted), self.pixels)
        np.add.at(correct, (self.images, self.truth), np.where(self.truth == self.predicted, self.pixels, 0))
        return [correct, truth, predicted]
