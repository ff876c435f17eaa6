"""The classification split: one label for each image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..images import Image
from ..split import Rows, Split


class Sample(NamedTuple):
    """An image ``[H, W, 3]`` uint8 RGB and its class index."""

    image: Image
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

    def sample(self, index: int) -> Sample:
        return Sample(self.image(index), int(self.labels[index]))

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

    def counts(self) -> NDArray[np.int64]:
        """Number of images of each class, ``[C]``."""
        return np.bincount(self.labels, minlength=len(self.classes))


def check_classes(classes: Sequence[str], source: Path | str) -> None:
    """Raises DataError unless there are at least two classes with distinct names."""
    if len(classes) < 2:
        found = f"only one class, {format_name(classes[0])}" if classes else "no classes"
        raise DataError(f"{source} contains {found}: a classifier needs at least two.")
    duplicates = [name for name, count in Counter(classes).items() if count > 1]
    if duplicates:
        raise DataError(f"{source} contains the class {format_name(duplicates[0])} twice.")


def divide_by_class(
    split: ClassificationSplit, fraction: float, seed: int
) -> tuple[ClassificationSplit, ClassificationSplit]:
    """Divides ``split`` in two. The second part has about ``fraction`` of every class; it depends only on ``seed``.

    Raises:
        DataError: a class has only one image.
    """
    random = np.random.default_rng(seed)
    second = np.zeros(len(split), dtype=bool)
    by_class = np.split(np.argsort(split.labels, kind="stable"), np.cumsum(split.counts())[:-1])
    for name, rows in zip(split.classes, by_class, strict=True):
        if not len(rows):
            continue
        if len(rows) == 1:
            raise DataError(f"{split.source} has 1 image of {format_name(name)}, too few for training and validation.")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        second[random.permutation(rows)[:count]] = True
    note = f"{split.source}: {int(second.sum())} of {len(split)} images, drawn with seed {seed}, are for validation."
    return split.take(~second), replace(split.take(second), notes=(note,))
