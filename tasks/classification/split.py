"""Labelled images of a split in flat arrays, which workers share without copies, whatever they were read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..images import Image, read_image


@dataclass(frozen=True)
class ClassificationSplit:
    """Images of one split, each of one class.

    Attributes:
        source: file or folder that the labels come from, which messages name.
        folder: where the images are.
        names: file names relative to ``folder``, ``[I]``.
        labels: ``[I]`` int64 from 0, in the order of ``classes``.
        classes: names of the classes.
        notes: what was mended or left out while reading, a sentence each.
        pixels: ``[I, H, W, 3]`` uint8 RGB, where the source holds pixels and no files of pictures; ``names`` then say
            where in it.
    """

    source: Path
    folder: Path
    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    pixels: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if not len(self.labels):
            raise DataError(f"{self.source} holds no pictures.")

    def __len__(self) -> int:
        return len(self.labels)

    def path(self, index: int) -> Path:
        """File of image ``index``."""
        return self.folder / str(self.names[index])

    def image(self, index: int) -> Image:
        """Image ``index``, ``[H, W, 3]`` uint8 RGB, turned as the camera noted; the caller's own."""
        return read_image(self.path(index)) if self.pixels is None else self.pixels[index].copy()

    def keep(self, images: NDArray[np.bool_]) -> ClassificationSplit:
        """The same with some ``images`` ``[I]`` alone."""
        return self._taken(images)

    def by_turns(self) -> ClassificationSplit:
        """The same with the first image of each class in front, then the second of each, and so on."""
        turns = np.empty(len(self), dtype=np.int64)
        order = np.argsort(self.labels, kind="stable")
        counts = self.counts()
        turns[order] = np.arange(len(self)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._taken(np.lexsort((self.labels, turns)))

    def _taken(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> ClassificationSplit:
        pixels = None if self.pixels is None else self.pixels[rows]
        return replace(self, names=self.names[rows], labels=self.labels[rows], pixels=pixels)

    def counts(self) -> NDArray[np.int64]:
        """How many images each class has, ``[C]``."""
        return np.bincount(self.labels, minlength=len(self.classes))


def check_classes(classes: Sequence[str], source: Path | str) -> None:
    """Raises DataError unless there are two classes at least, each named once."""
    if len(classes) < 2:
        found = f"one class alone, {format_name(classes[0])}" if classes else "no classes"
        raise DataError(f"{source} holds {found}: a classifier needs two at least.")
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise DataError(f"{source} names the class {format_name(twice[0])} twice.")


def split_off(whole: ClassificationSplit, share: float, seed: int) -> tuple[ClassificationSplit, ClassificationSplit]:
    """Parts ``whole`` in two, the second with about ``share`` of every class, by ``seed`` alone.

    Raises:
        DataError: a class has one image alone, too few for both.
    """
    random = np.random.default_rng(seed)
    second = np.zeros(len(whole), dtype=bool)
    by_class = np.split(np.argsort(whole.labels, kind="stable"), np.cumsum(whole.counts())[:-1])
    for name, rows in zip(whole.classes, by_class, strict=True):
        if not len(rows):
            continue
        if len(rows) == 1:
            raise DataError(
                f"{whole.source} holds 1 picture of {format_name(name)}, too few to split some off for validation."
            )
        count = min(max(1, round(share * len(rows))), len(rows) - 1)
        second[random.permutation(rows)[:count]] = True
    said = f"{whole.source}: {int(second.sum())} of {len(whole)} pictures, drawn by seed {seed}, are for validation."
    return whole.keep(~second), replace(whole.keep(second), notes=(said,))
