"""What a probe on objects or cells keeps of each image: its confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ....tasks.evidence import Evidence, FiguresByWeighting, Weights, divide, mean_defined


@dataclass(frozen=True, kw_only=True)
class ProbeEvidence(Evidence):
    """Entries of the images' confusion matrices that are not 0, E of them. An image may have no samples.

    Attributes:
        images: image of each entry, ascending, ``[E]``.
        truth: true class, ``[E]``.
        predicted: predicted class, ``[E]``.
        samples: number of objects or cells, ``[E]``.
    """

    role: ClassVar[str] = "probe"
    figure_names: ClassVar[tuple[str, ...]] = ("mean_recall", "accuracy")

    images: NDArray[np.int32]
    truth: NDArray[np.int32]
    predicted: NDArray[np.int32]
    samples: NDArray[np.int64]

    @classmethod
    def from_predictions(
        cls,
        classes: Sequence[str],
        names: Sequence[str],
        images: NDArray[np.int64],
        truth: NDArray[np.int64],
        predicted: NDArray[np.int64],
    ) -> ProbeEvidence:
        """Counts the samples of each image by true and predicted class.

        Args:
            classes: names of the C classes.
            names: file names of all images, also of those without samples.
            images: image of each sample, ``[S]``.
            truth: its class, ``[S]``.
            predicted: its predicted class, ``[S]``.
        """
        codes = (images * len(classes) + truth) * len(classes) + predicted
        found, samples = np.unique(codes, return_counts=True)
        return cls(
            classes=tuple(classes),
            names=tuple(names),
            images=(found // len(classes) ** 2).astype(np.int32),
            truth=(found // len(classes) % len(classes)).astype(np.int32),
            predicted=(found % len(classes)).astype(np.int32),
            samples=samples.astype(np.int64),
        )

    def figures(self, weights: Weights, names: Sequence[str]) -> FiguresByWeighting:
        compute: dict[str, Callable[[], NDArray[np.float64]]] = {
            "mean_recall": lambda: mean_defined(self.per_class(weights)),
            "accuracy": lambda: divide(*(weights @ counts.sum(1) for counts in self._counts)),
        }
        return {name: compute[name]() for name in names}

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """Returns the accuracy of the samples of each class, ``[R, C]``."""
        return divide(*(weights @ counts for counts in self._counts))

    def image_scores(self) -> NDArray[np.float64]:
        """Returns the accuracy of the samples of each image, ``[N]``; NaN for an image without samples."""
        return divide(*(counts.sum(1) for counts in self._counts))

    def images_per_class(self) -> NDArray[np.int64]:
        return (self._counts[1] > 0).sum(0)

    def annotations(self, image: int) -> list[NDArray[Any]]:
        """Returns the number of samples of each class in the image."""
        return [self._counts[1][image]]

    @cached_property
    def _counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the numbers of correct and of all samples by image and class, ``[N, C]`` each."""
        correct, truth = np.zeros((2, len(self.names), len(self.classes)), dtype=np.int64)
        np.add.at(truth, (self.images, self.truth), self.samples)
        np.add.at(correct, (self.images, self.truth), np.where(self.truth == self.predicted, self.samples, 0))
        return correct, truth
