"""The classification split: one label for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..data.split import Rows, Split, check_distinct
from ..data.stratified import Stratum
from ..data.verification import ImageFacts
from ..images import EncodedImage, I_co, Image


class Sample(NamedTuple, Generic[I_co]):
    """An image ``[H, W, 3]`` uint8 RGB, or its file that is not decoded yet, and its class index."""

    image: I_co
    label: int


@dataclass(frozen=True, kw_only=True)
class ClassificationSplit(Split):
    """Images of one split, each of one class.

    Attributes:
        labels: ``[I]`` int64 class indices.
        pixels: ``[I, H, W, 3]`` uint8 RGB if the source contains pixels instead of image files, otherwise None.
    """

    labels: NDArray[np.int64]
    pixels: NDArray[np.uint8] | None = None

    def image(self, index: int) -> Image:
        """Image ``index``, ``[H, W, 3]`` uint8 RGB, rotated by its EXIF orientation; the caller may modify it."""
        return super().image(index) if self.pixels is None else self.pixels[index].copy()

    def sample(self, index: int) -> Sample[Image]:
        return Sample(self.image(index), int(self.labels[index]))

    def encoded_sample(self, index: int) -> Sample[Image] | Sample[EncodedImage]:
        if self.pixels is not None:
            return self.sample(index)
        return Sample(EncodedImage.read(self.path(index)), int(self.labels[index]))

    def take(self, rows: Rows) -> Self:
        pixels = None if self.pixels is None else self.pixels[rows]
        return replace(super().take(rows), labels=self.labels[rows], pixels=pixels)

    def in_evaluation_order(self) -> Self:
        """The first image of each class, then the second of each, and so on."""
        turns = np.empty(len(self), dtype=np.int64)
        order = np.argsort(self.labels, kind="stable")
        counts = self.counts()
        turns[order] = np.arange(len(self)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.take(np.lexsort((self.labels, turns)))

    def strata(self) -> list[Stratum]:
        """The images of each class that has images, in the order of the classes."""
        by_class = np.split(np.argsort(self.labels, kind="stable"), np.cumsum(self.counts())[:-1])
        return [Stratum(name, images) for name, images in zip(self.classes, by_class, strict=True) if len(images)]

    def image_facts(self) -> ImageFacts:
        """See :meth:`Split.image_facts`; pixels in memory get no hashes, so single images are drawn for validation.

        CIFAR's figures were measured on such a draw, and only 1 % of CIFAR-10's images look like another one.
        """
        if self.pixels is None:
            return super().image_facts()
        sizes = np.tile(np.array(self.pixels.shape[1:3]), (len(self), 1))
        return ImageFacts(sizes, np.ones(len(self), dtype=np.uint8), np.zeros(len(self), dtype=np.uint64), {})

    def counts(self) -> NDArray[np.int64]:
        """Number of images of each class, ``[C]``."""
        return np.bincount(self.labels, minlength=len(self.classes))


def check_classes(classes: Sequence[str], source: Path | str) -> None:
    """Raises DataError unless ``classes`` has at least two names, all distinct."""
    if len(classes) < 2:
        found = f"only one class, {format_name(classes[0])}" if classes else "no classes"
        raise DataError(f"{source} contains {found}: a classifier needs at least two.")
    check_distinct(classes, source)
