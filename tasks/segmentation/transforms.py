"""Augmentation for segmentation: random scale and crop, with one resize of image and mask, then flip and colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Self

import cv2
import numpy as np
import torch
from numpy.random import Generator

from ...errors import UserError, check_range
from ...heads.predictions import IGNORED, ResizeGeometry
from ..albumentation import Albumentations
from ..images import Image, ImageSource, Region
from ..preprocessing import Preprocessing
from .masks import Labels
from .split import Sample, StoredMask

#: part of an image that a crop shows, and its position in the crop
Window = tuple[Region, ResizeGeometry]

TRIALS = 10  # maximum number of windows drawn to find one in which no class has too large a share


class Augmentation(ABC):
    """Turns a stored training sample into one of the size that a training step takes."""

    #: whether images may be files that are not decoded yet
    accepts_encoded: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, sample: Sample[Any], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """Returns an augmented sample; the size is the same for all samples.

        Args:
            sample: image and labels at their stored size; the image is an :class:`..images.EncodedImage` if
                ``accepts_encoded``.
            preprocessing: how images become the network's input.
            random: source of all randomness, so that results repeat with any number of workers.
        """


class Resize(Augmentation):
    """The preprocessing without augmentation, as in evaluations; keeps the stored mask as the truth."""

    def __call__(self, sample: Sample[Image], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """See :class:`Augmentation`."""
        geometry = preprocessing.geometry(*sample.labels.shape)
        return Sample(
            preprocessing.apply_geometry(sample.image, geometry),
            resize_labels(sample.labels, geometry, preprocessing.size),
            StoredMask(torch.from_numpy(sample.labels), geometry),
        )


class ScaleCropAugmentation(Augmentation):
    """A crop of the image at a random scale, then flip and colours (DeepLabv3, arXiv 1706.05587, section 4.1).

    The scale is relative to the size of the image in the network's input. Pixels of a crop outside the image have the
    mean colour and are ignored.

    Args:
        crop: (height, width) of the crop in pixels, e.g. [769, 769]. Default: the size of the network's input.
        scale: smallest and largest scale factor, e.g. [0.5, 2.0].
        cat_max_ratio: largest share of the labelled pixels of a crop that one class may have. If one has more, another
            crop is drawn, up to ten times. mmsegmentation uses 0.75; 1 accepts every crop.
        flip: probability of a horizontal flip.
        photometric: whether to change brightness, contrast, saturation and hue at random, in SSD's ranges.
        extra: albumentations transforms to run last, e.g. ``{class_path: albumentations.GaussianBlur, init_args: {p:
            0.1}}``. Pixels that they bring in from outside the image are ignored.

    Raises:
        UserError: a value is out of range.
    """

    accepts_encoded = True

    def __init__(
        self,
        crop: tuple[int, int] | None = None,
        scale: tuple[float, float] = (0.5, 2.0),
        cat_max_ratio: float = 1.0,
        flip: float = 0.5,
        photometric: bool = False,
        extra: list[dict[str, Any]] | None = None,
    ) -> None:
        if crop is not None and min(crop) < 32:
            raise UserError(f"crop must be (height, width) of at least 32 pixels each, not {crop}.")
        if not 0 < scale[0] <= scale[1]:
            raise UserError(f"scale must be two positive factors, the smaller first, not {scale}.")
        check_range("cat_max_ratio", cat_max_ratio, gt=0, le=1)
        check_range("flip", flip, ge=0, le=1)
        self.crop = crop
        self.scale = scale
        self.cat_max_ratio = cat_max_ratio
        self.flip = flip
        self.albumentations = Albumentations(extra, photometric)

    def __call__(self, sample: Sample[ImageSource], preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """See :class:`Augmentation`."""
        size = self.crop or preprocessing.size
        region, geometry = self.draw_window(sample.labels, preprocessing, size, random)
        image, shown = replace(preprocessing, size=size).crop(sample.image, region, geometry)
        labels = resize_labels(sample.labels[shown.slices], geometry, size)
        if random.random() < self.flip:
            image, labels = (np.asarray(cv2.flip(array, 1), dtype=np.uint8) for array in (image, labels))
        transformed = self.albumentations(random, image, mask=labels)
        return Sample(transformed["image"], transformed["mask"])

    def draw_window(
        self, labels: Labels, preprocessing: Preprocessing, size: tuple[int, int], random: Generator
    ) -> Window:
        """Draws the window of a crop of ``size``, several times if one class has too large a share of it."""
        (height, width), geometry = labels.shape, preprocessing.geometry(*labels.shape)
        scale = random.uniform(*self.scale)
        rows = CropSide.at_scale(height, geometry.rows * scale / height, size[0])
        columns = CropSide.at_scale(width, geometry.columns * scale / width, size[1])
        window = draw_window(rows, columns, random)
        for _ in range(TRIALS - 1):
            if self.cat_max_ratio == 1 or largest_share(labels[window[0].slices]) <= self.cat_max_ratio:
                break
            window = draw_window(rows, columns, random)
        return window


class CropSide(NamedTuple):
    """One side of a crop: ``length`` of ``image`` pixels fill ``shown`` of ``crop`` pixels."""

    image: int
    length: int
    shown: int
    crop: int

    @classmethod
    def at_scale(cls, image: int, scale: float, crop: int) -> Self:
        """Returns the part of ``image`` pixels that fills the crop at ``scale``, or all if they do not fill it."""
        length = max(1, round(crop / scale))
        if length <= image:
            return cls(image, length, crop, crop)
        return cls(image, image, min(crop, max(1, round(image * scale))), crop)

    def draw(self, random: Generator) -> tuple[int, int]:
        """Draws the first pixel in the image and in the crop; one of them is always 0."""
        return int(random.integers(self.image - self.length + 1)), int(random.integers(self.crop - self.shown + 1))


def draw_window(rows: CropSide, columns: CropSide, random: Generator) -> Window:
    """Draws the position of a window with these sides."""
    (top, crop_top), (left, crop_left) = rows.draw(random), columns.draw(random)
    region = Region(top, left, rows.length, columns.length)
    return region, ResizeGeometry(rows.length, columns.length, crop_top, crop_left, rows.shown, columns.shown)


def largest_share(labels: Labels) -> float:
    """Returns the share of the labelled pixels that the most frequent class has; 1 if no pixel is labelled."""
    counts = cv2.calcHist([labels], [0], None, [IGNORED], [0, IGNORED])  # four times as fast as NumPy
    return float(counts.max() / counts.sum()) if counts.any() else 1.0


def resize_labels(labels: Labels, geometry: ResizeGeometry, size: tuple[int, int]) -> Labels:
    """Resizes ``labels`` to the rows and columns of ``geometry`` and pads them to ``size`` with ignored pixels.

    Each pixel takes the label whose centre is nearest. OpenCV's INTER_NEAREST rounds down instead, which shifts labels
    against the image by up to half a pixel.
    """
    if labels.shape != (geometry.rows, geometry.columns):
        columns_rows, nearest = (geometry.columns, geometry.rows), cv2.INTER_NEAREST_EXACT
        labels = np.asarray(cv2.resize(labels, columns_rows, interpolation=nearest), dtype=np.uint8)
    if labels.shape == size:
        return labels
    canvas = np.full(size, IGNORED, dtype=np.uint8)
    canvas[geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns] = labels
    return canvas
