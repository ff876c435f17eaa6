"""The segmentation split: a mask for each image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Generic, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, ImageError
from ...heads.predictions import IGNORED, ResizeGeometry
from ..data.split import Rows, Split, find_errors
from ..data.stratified import Stratum
from ..data.verification import ImageFacts
from ..images import EncodedImage, I_co, Image
from .masks import Labels, MaskFacts, MaskReader, sample_evenly, verify_masks

SHEET_IMAGES = 8  # on a contact sheet


class StoredMask(NamedTuple):
    """A mask at its stored size, which evaluations compare the prediction with.

    Attributes:
        labels: ``[h, w]`` uint8 class indices, 255 for ignored pixels.
        geometry: position of the image in the network's input.
    """

    labels: Tensor
    geometry: ResizeGeometry


class Sample(NamedTuple, Generic[I_co]):
    """An image and the class indices of its pixels.

    Attributes:
        image: ``[H, W, 3]`` uint8 RGB, or a file that is not decoded yet.
        labels: ``[H, W]`` uint8, 255 for ignored pixels.
        truth: in evaluations, the mask at its stored size.
    """

    image: I_co
    labels: Labels
    truth: StoredMask | None = None


@dataclass(frozen=True, kw_only=True)
class SegmentationSplit(Split):
    """Images of one split, each with a mask.

    Attributes:
        mask_folder: folder of the masks.
        mask_names: file names relative to ``mask_folder``, ``[I]``.
        read_mask: reads a mask file as class indices.
    """

    mask_folder: Path
    mask_names: NDArray[np.str_]
    read_mask: MaskReader

    def mask_path(self, index: int) -> Path:
        """File of the mask of image ``index``."""
        return self.mask_folder / str(self.mask_names[index])

    def labels(self, index: int) -> Labels:
        """Class indices of the pixels of image ``index``.

        Raises:
            DataError: the mask cannot be read.
        """
        return self.read_mask(self.mask_path(index))

    def sample(self, index: int) -> Sample[Image]:
        """Image ``index`` and its labels, which have the same size.

        Raises:
            DataError: the image or the mask cannot be read, or their sizes differ.
        """
        sample = self.encoded_sample(index)
        return Sample(sample.image.pixels, sample.labels)

    def encoded_sample(self, index: int) -> Sample[EncodedImage]:
        labels = self.labels(index)
        image = rotated = EncodedImage.read(self.path(index))
        if rotated.size != labels.shape:
            # the mask may belong to the image as stored, before its EXIF rotation
            image = EncodedImage(rotated.path, rotated.data, annotated_size=(labels.shape[0], labels.shape[1]))
            try:
                _ = image.pixels
            except ImageError as error:
                raise DataError(
                    f"{self.path(index)} is {rotated.size[1]}×{rotated.size[0]} pixels, but its mask "
                    f"{self.mask_path(index)} is {labels.shape[1]}×{labels.shape[0]}."
                ) from error
        return Sample(image, labels)

    def image(self, index: int) -> Image:
        """Image ``index``, ``[H, W, 3]`` uint8 RGB, of the same size as its mask."""
        return self.sample(index).image

    @cached_property
    def mask_facts(self) -> MaskFacts:
        """Verifies all masks, or reads what an earlier run found; see :func:`.masks.verify_masks`."""
        return verify_masks(self.mask_folder, self.mask_names, self.read_mask)

    def strata(self) -> list[Stratum]:
        """The images of each class, the rarest class first, and finally all images; see :class:`DetectionSplit`."""
        shown = self.mask_facts.has_class[:, : len(self.classes)]
        rarest_first = sorted(range(len(self.classes)), key=lambda k: int(shown[:, k].sum()))
        by_class = [Stratum(self.classes[k], np.flatnonzero(shown[:, k]), False) for k in rarest_first]
        return [*by_class, *super().strata()]

    def find_invalid(self, facts: ImageFacts) -> dict[int, str]:
        """See :meth:`Split.find_invalid`; an image with an invalid mask, or one of another size, is invalid, too."""
        errors = facts.errors | self.mask_facts.errors
        contradicting = np.setdiff1d(np.flatnonzero(~facts.fits(self.mask_facts.sizes)), list(errors))
        return dict(sorted((errors | find_errors(self.sample, contradicting.tolist())).items()))

    def annotated_sizes(self) -> NDArray[np.int64]:
        return self.mask_facts.sizes

    def take(self, rows: Rows) -> Self:
        return replace(super().take(rows), mask_names=self.mask_names[rows])

    def in_evaluation_order(self) -> Self:
        """Returns eight images spread over the whole split, then the one after each of these, and so on.

        Neighbours in a folder are often frames of one video, which look the same.
        """
        step = -(-len(self) // SHEET_IMAGES)
        return self.take(np.concatenate([np.arange(begin, len(self), step) for begin in range(step)]))

    def count_pixels(self) -> NDArray[np.int64]:
        """Counts the pixels of each class in each image, ``[I, C]``; reads all masks.

        Raises:
            DataError: a mask cannot be read.
        """

        def count(index: int) -> NDArray[np.int64]:
            return np.bincount(self.labels(index).ravel(), minlength=IGNORED + 1)[: len(self.classes)]

        with ThreadPoolExecutor() as threads:  # decoding releases the GIL
            return np.stack(list(threads.map(count, range(len(self)))))


def check_some_images(split: SegmentationSplit) -> None:
    """Reads a few images of ``split`` and their masks before training, to find errors that all images share.

    Raises:
        DataError: one of them cannot be used, or all pixels of the whole split are ignored.
    """
    with ThreadPoolExecutor() as threads:  # decoding releases the GIL
        samples = list(threads.map(split.sample, sample_evenly(range(len(split)))))
    if not any((sample.labels != IGNORED).any() for sample in samples) and not split.count_pixels().any():
        raise DataError(unlabelled_message(split))


def unlabelled_message(split: SegmentationSplit) -> str:
    """Returns the message that no pixel of ``split`` has a class."""
    return f"No pixel of {split.mask_folder} has a class: all of them are ignored."
