"""Images of a split with their masks, in flat arrays, which workers share without copies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, ImageError
from ...heads.predictions import IGNORED
from ..images import Image, read_image
from .masks import Labels, MaskReader, some_of

PARTS = 8  # as many pictures as a contact sheet has


class Masked(NamedTuple):
    """An image ``[H, W, 3]`` uint8 RGB and the labels of its pixels ``[H, W]`` uint8, 255 for none."""

    image: Image
    labels: Labels


@dataclass(frozen=True)
class SegmentationSplit:
    """Images of one split, each with a mask.

    Attributes:
        source: file or folder that says what belongs to the split, which messages name.
        folder: where the images are.
        names: file names relative to ``folder``, ``[I]``.
        mask_folder: where the masks are.
        mask_names: file names relative to ``mask_folder``, ``[I]``.
        classes: names of the classes.
        read_mask: makes labels of a mask.
        notes: what was mended or left out while reading, a sentence each.
    """

    source: Path
    folder: Path
    names: NDArray[np.str_]
    mask_folder: Path
    mask_names: NDArray[np.str_]
    classes: tuple[str, ...]
    read_mask: MaskReader
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.names):
            raise DataError(f"{self.source} holds no pictures with masks.")

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> Path:
        """File of image ``index``."""
        return self.folder / str(self.names[index])

    def mask_path(self, index: int) -> Path:
        """File of the mask of image ``index``."""
        return self.mask_folder / str(self.mask_names[index])

    def masked(self, index: int) -> Masked:
        """Image ``index`` and its labels, which are of one size.

        Raises:
            DataError: the mask cannot be read, or has another size than the image.
            ImageError: the image cannot be read.
        """
        labels = self.labels(index)
        image = read_image(self.path(index))
        if image.shape[:2] != labels.shape:
            try:  # a mask may be of the picture as it is stored, unturned
                image = read_image(self.path(index), stored_size=(labels.shape[0], labels.shape[1]))
            except ImageError as error:
                raise DataError(
                    f"{self.path(index)} is {image.shape[1]}×{image.shape[0]} pixels, but its mask "
                    f"{self.mask_path(index)} is {labels.shape[1]}×{labels.shape[0]}."
                ) from error
        return Masked(image, labels)

    def labels(self, index: int) -> Labels:
        """Labels of the pixels of image ``index``.

        Raises:
            DataError: the mask cannot be read.
        """
        return self.read_mask(self.mask_path(index))

    def image(self, index: int) -> Image:
        """Image ``index``, as big as its mask.

        Raises:
            DataError: its mask cannot be read, or they are of two sizes.
            ImageError: it cannot be read.
        """
        return self.masked(index).image

    def keep(self, images: NDArray[np.bool_]) -> SegmentationSplit:
        """The same with some ``images`` ``[I]`` alone."""
        return self._taken(images)

    def spread(self) -> SegmentationSplit:
        """The same with eight from all parts of it in front, then the next of each, and so on.

        Neighbours in a folder are often frames of one film, which show the same.
        """
        step = -(-len(self) // PARTS)
        return self._taken(np.concatenate([np.arange(begin, len(self), step) for begin in range(step)]))

    def _taken(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> SegmentationSplit:
        return replace(self, names=self.names[rows], mask_names=self.mask_names[rows])

    def pixels(self) -> NDArray[np.int64]:
        """How many pixels each class has in each image, ``[I, C]``; reads all masks.

        Raises:
            DataError: a mask cannot be read.
        """

        def counted(index: int) -> NDArray[np.int64]:
            return np.bincount(self.labels(index).ravel(), minlength=IGNORED + 1)[: len(self.classes)]

        with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
            return np.stack(list(threads.map(counted, range(len(self)))))


def check_some(split: SegmentationSplit) -> None:
    """Looks at a few images of ``split`` and their masks, so that what is wrong with all of them is known at once.

    Raises:
        DataError: one of them cannot be used, or no pixel of the whole split has a class.
        ImageError: one of them cannot be read.
    """
    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        few = list(threads.map(split.masked, some_of(range(len(split)))))
    if not any((shown.labels != IGNORED).any() for shown in few) and not split.pixels().any():
        raise DataError(nothing_labelled(split))


def nothing_labelled(split: SegmentationSplit) -> str:
    """What is wrong with a ``split`` that shows no class."""
    return f"No pixel of {split.mask_folder} has a class: all of them hold what counts as none."


def split_off(whole: SegmentationSplit, share: float, seed: int) -> tuple[SegmentationSplit, SegmentationSplit]:
    """Parts ``whole`` in two, the second with about ``share`` of the images, drawn by ``seed`` alone.

    Raises:
        DataError: there is one image alone.
    """
    if len(whole) == 1:
        raise DataError(f"{whole.source} holds 1 picture, too few to split some off for validation.")
    count = min(max(1, round(share * len(whole))), len(whole) - 1)
    second = np.zeros(len(whole), dtype=bool)
    second[np.random.default_rng(seed).permutation(len(whole))[:count]] = True
    said = f"{whole.source}: {count} of {len(whole)} pictures, drawn by seed {seed}, are for validation."
    return whole.keep(~second), replace(whole.keep(second), notes=(said,))
