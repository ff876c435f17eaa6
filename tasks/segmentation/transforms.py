"""Augmentation for segmentation: a scale and a window, one resize of image and mask, flip, colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from ...errors import UserError
from ...heads.predictions import IGNORED, ResizeGeometry
from ..albumentation import Albumentations
from ..images import resize_image
from ..preprocessing import Preprocessing
from .masks import Labels
from .split import Sample, StoredMask

TRIALS = 10  # windows that are drawn to find one that no class fills


class Augmentation(ABC):
    """What a data set does to an image and its labels while training: from those as read to what a step takes.

    All randomness comes from ``random``, so that a seed repeats and workers differ.
    """

    @abstractmethod
    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """Gives a sample of one size for every sample."""


class Resize(Augmentation):
    """No augmentation: the preprocessing alone, as in validation; keeps the stored mask as the truth."""

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        geometry = preprocessing.geometry(*sample.labels.shape)
        return Sample(
            preprocessing.apply_geometry(sample.image, geometry),
            resize_labels(sample.labels, geometry, preprocessing.size),
            StoredMask(sample.labels, geometry),
        )


class Window(NamedTuple):
    """A part of an image in whole pixels, and where it lies in the crop, in pixels of that."""

    top: int
    left: int
    height: int
    width: int
    geometry: ResizeGeometry


class ScaleCropAugmentation(Augmentation):
    """A crop of the image at a random scale; then flip and colours (DeepLabv3, arXiv 1706.05587, section 4.1).

    The image is thought of as the preprocessing lays it into the input, times the scale. What a crop shows beyond the
    image has the mean colour, and counts as no class.

    Args:
        crop: (height, width) that a step takes; None takes the network's input.
        scale: least and greatest of the factors.
        cat_max_ratio: a crop is drawn again where one class has more than this share of its labelled pixels, up to ten
            times (0.75 in mmsegmentation's recipes); 1 takes the first.
        flip: probability of mirroring left and right.
        photometric: random brightness, contrast, saturation and hue in SSD's ranges.
        extra: transforms of albumentations that run last, each as ``{class_path: albumentations.GaussianBlur,
            init_args: {p: 0.1}}``; what they bring in from outside counts as no class.

    Raises:
        ValueError: a value is out of its range.
    """

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
            raise UserError(f"scale must be two rising positive factors, not {scale}.")
        if not 0 < cat_max_ratio <= 1:
            raise UserError(f"cat_max_ratio must be a share in 0 … 1, 0 not included, not {cat_max_ratio}.")
        if not 0 <= flip <= 1:
            raise UserError(f"flip must be a probability in 0 … 1, not {flip}.")
        self.crop = crop
        self.scale = scale
        self.cat_max_ratio = cat_max_ratio
        self.flip = flip
        self.albumentations = Albumentations(extra, photometric)

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """See :class:`Augmentation`."""
        crop = self.crop or preprocessing.size
        geometry = preprocessing.geometry(*sample.labels.shape)
        scale = random.uniform(*self.scale)
        window = self.window(sample.labels, geometry, scale, crop, random)
        shown = Sample(
            sample.image[window.top : window.top + window.height, window.left : window.left + window.width],
            sample.labels[window.top : window.top + window.height, window.left : window.left + window.width],
        )
        shown = placed(shown, window.geometry, crop, preprocessing.fill)
        if random.random() < self.flip:
            image, labels = (np.asarray(cv2.flip(array, 1), dtype=np.uint8) for array in shown[:2])
            shown = Sample(image, labels)
        transformed = self.albumentations(random, shown.image, mask=shown.labels)
        return Sample(transformed["image"], transformed["mask"])

    def window(
        self, labels: Labels, geometry: ResizeGeometry, scale: float, crop: tuple[int, int], random: Generator
    ) -> Window:
        """Draws the window of a crop, again where one class fills it."""
        height, width = labels.shape
        rows = spans(height, geometry.rows * scale / height, crop[0])
        columns = spans(width, geometry.columns * scale / width, crop[1])
        trials = TRIALS if self.cat_max_ratio < 1 else 1
        while True:
            top, down = rows.draw(random)
            left, right = columns.draw(random)
            trials -= 1
            shown = labels[top : top + rows.length, left : left + columns.length]
            if not trials or largest_share(shown) <= self.cat_max_ratio:
                break
        place = ResizeGeometry(rows.length, columns.length, down, right, rows.shown, columns.shown)
        return Window(top, left, rows.length, columns.length, place)


class Span(NamedTuple):
    """One side of a crop: ``length`` of ``whole`` pixels of the image fill ``shown`` of ``crop``."""

    whole: int
    length: int
    shown: int
    crop: int

    def draw(self, random: Generator) -> tuple[int, int]:
        """Where it begins in the image, and where in the crop; one of them is free."""
        return int(random.integers(self.whole - self.length + 1)), int(random.integers(self.crop - self.shown + 1))


def spans(whole: int, scale: float, crop: int) -> Span:
    """What of ``whole`` pixels a crop shows at a scale: a part that fills it, or all of them."""
    length = max(1, round(crop / scale))
    if length <= whole:
        return Span(whole, length, crop, crop)
    return Span(whole, whole, min(crop, max(1, round(whole * scale))), crop)


def largest_share(labels: Labels) -> float:
    """Share of the labelled pixels that are of their most frequent class; 1 where none is labelled."""
    counts = cv2.calcHist([labels], [0], None, [IGNORED], [0, IGNORED])  # four times as quick as NumPy
    return float(counts.max() / counts.sum()) if counts.any() else 1.0


def placed(shown: Sample, geometry: ResizeGeometry, size: tuple[int, int], fill: tuple[int, int, int]) -> Sample:
    """Lays image and labels into a crop of ``size``, each on its own ground."""
    image = resize_image(shown.image, geometry.rows, geometry.columns)
    if (geometry.rows, geometry.columns) != size:
        down, right = size[0] - geometry.top - geometry.rows, size[1] - geometry.left - geometry.columns
        padded = cv2.copyMakeBorder(image, geometry.top, down, geometry.left, right, cv2.BORDER_CONSTANT, value=fill)
        image = np.asarray(padded, dtype=np.uint8)
    return Sample(image, resize_labels(shown.labels, geometry, size))


def resize_labels(labels: Labels, geometry: ResizeGeometry, size: tuple[int, int]) -> Labels:
    """Lays ``labels`` into ``size`` as ``geometry`` says; what is beside them counts as no class.

    Takes the pixel whose centre is nearest. OpenCV's older INTER_NEAREST rounds down, which shifts labels against the
    image by up to half a pixel.
    """
    if labels.shape != (geometry.rows, geometry.columns):
        labels = np.asarray(
            cv2.resize(labels, (geometry.columns, geometry.rows), interpolation=cv2.INTER_NEAREST_EXACT), dtype=np.uint8
        )
    if labels.shape == size:
        return labels
    canvas = np.full(size, IGNORED, dtype=np.uint8)
    canvas[geometry.top : geometry.top + geometry.rows, geometry.left : geometry.left + geometry.columns] = labels
    return canvas
