"""Augmentation for classifiers: a random crop or shift, then flip, policy and random erasing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.random import Generator

from ...errors import UserError, check_range
from ...heads.predictions import ResizeGeometry
from ..albumentation import Albumentations
from ..drawing import Colour
from ..images import Image, ImageSource, Region, get_size
from ..preprocessing import Preprocessing
from .policies import Policy
from .split import Sample

# ranges of torchvision's RandomErasing
ERASED_SCALE, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)


class Augmentation(ABC):
    """Turns a training image into the network's input.

    All random numbers come from ``random``, so that a seed gives the same sample in any worker.
    """

    #: whether images may be files that are not decoded yet
    accepts_encoded: ClassVar[bool] = False

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample[Image]:
        """Augments the image of ``sample``."""
        return Sample(self.augment(sample.image, preprocessing, random), sample.label)

    @abstractmethod
    def augment(self, image: Any, preprocessing: Preprocessing, random: Generator) -> Image:
        """Returns the input ``[H, W, 3]`` uint8 of ``preprocessing.size``.

        Args:
            image: ``[h, w, 3]`` uint8, or an :class:`..images.EncodedImage` if ``accepts_encoded``.
            preprocessing: how images become the network's input.
            random: source of all random numbers.
        """


class Resize(Augmentation):
    """The preprocessing without augmentation, as in validation."""

    def augment(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        return preprocessing.apply(image)


class View(Augmentation):
    """Crop or shift, which subclasses implement, then flip, policy, random erasing and extra transforms.

    Args:
        flip: probability of a horizontal flip; set 0 if left and right matter, e.g. for text.
        policy: operations on colours and geometry, e.g. ``TrivialAugment``; None for none.
        random_erasing: probability of covering a rectangle with the mean colour, e.g. 0.1.
        extra: albumentations transforms to run last, e.g. ``{class_path: albumentations.GaussianBlur, init_args: {p:
            0.1}}``. They must keep the size of the image.
    """

    accepts_encoded = True

    def __init__(
        self,
        *,
        flip: float = 0.5,
        policy: Policy | None = None,
        random_erasing: float = 0.0,
        extra: list[dict[str, Any]] | None = None,
    ) -> None:
        check_range("flip", flip, ge=0, le=1)
        check_range("random_erasing", random_erasing, ge=0, le=1)
        self.flip = flip
        self.policy = policy
        self.random_erasing = random_erasing
        self.albumentations = Albumentations(extra)

    @abstractmethod
    def select_region(self, image: ImageSource, preprocessing: Preprocessing, random: Generator) -> Image:
        """Returns a crop or shift of ``image``, ``[H, W, 3]`` uint8 of ``preprocessing.size``."""

    def augment(self, image: ImageSource, preprocessing: Preprocessing, random: Generator) -> Image:
        region = flip_randomly(self.select_region(image, preprocessing, random), self.flip, random)
        if self.policy is not None:
            region = self.policy(region, preprocessing.fill, random)
        region = erase_randomly(region, self.random_erasing, preprocessing.fill, random)
        return self.albumentations(random, region)["image"]


class CropAugmentation(View):
    """A random crop, resized to the input (Inception, arXiv 1409.4842, section 6).

    Args:
        scale: smallest and largest share of the image's area in a crop, e.g. ``[0.25, 1]`` for milder crops.
        ratio: smallest and largest width / height of a crop; its logarithm is uniformly distributed.
    """

    def __init__(
        self, scale: tuple[float, float] = (0.08, 1.0), ratio: tuple[float, float] = (3 / 4, 4 / 3), **options: Any
    ) -> None:
        super().__init__(**options)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise UserError(f"scale must be two increasing shares in 0 … 1, not {scale}.")
        if not 0 < ratio[0] <= ratio[1]:
            raise UserError(f"ratio must be two increasing positive numbers, not {ratio}.")
        self.scale = scale
        self.ratio = ratio

    def select_region(self, image: ImageSource, preprocessing: Preprocessing, random: Generator) -> Image:
        region = self.draw_window(*get_size(image), random)
        stretched = ResizeGeometry(region.height, region.width, 0, 0, *preprocessing.size)
        return preprocessing.crop(image, region, stretched)[0]

    def draw_window(self, height: int, width: int, random: Generator) -> Region:
        """Draws a window in ``height``×``width`` pixels; the centre if scale and ratio cannot be satisfied."""
        window = try_draw_window(height, width, self.scale, self.ratio, random)
        if window is not None:
            return window
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        columns, rows = max(1, min(width, round(height * ratio))), max(1, min(height, round(width / ratio)))
        return Region((height - rows) // 2, (width - columns) // 2, rows, columns)


class ShiftAugmentation(View):
    """The image as in validation, shifted by a few pixels, as usual for CIFAR (arXiv 1512.03385, section 4.2).

    Args:
        pixels: largest shift of the input in each direction, e.g. 4 for 32×32 pixels. The border is filled with the
            mean colour.
    """

    def __init__(self, pixels: int = 4, **options: Any) -> None:
        super().__init__(**options)
        check_range("pixels", pixels, ge=0)
        self.pixels = pixels

    def select_region(self, image: ImageSource, preprocessing: Preprocessing, random: Generator) -> Image:
        margin, (rows, columns) = self.pixels, preprocessing.size
        top, left = random.integers(2 * margin + 1, size=2)
        (height, width), fill = get_size(image), preprocessing.fill
        whole, geometry = Region(0, 0, height, width), preprocessing.geometry(height, width)
        plain, _ = preprocessing.crop(image, whole, geometry)
        padded = cv2.copyMakeBorder(plain, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=fill)
        return np.asarray(padded[top : top + rows, left : left + columns], dtype=np.uint8)


def try_draw_window(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], random: Generator
) -> Region | None:
    """Draws a window in ``height``×``width`` pixels; None if none of ten draws fits.

    Args:
        height: height of the image.
        width: width of the image.
        scale: smallest and largest share of its area.
        ratio: smallest and largest width / height; the logarithm is uniformly distributed.
        random: source of all random numbers.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area = height * width * random.uniform(*scale)
        aspect = math.exp(random.uniform(low, high))
        columns, rows = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < columns <= width and 0 < rows <= height:
            top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
            return Region(int(top), int(left), rows, columns)
    return None


def flip_randomly(image: Image, probability: float, random: Generator) -> Image:
    """Flips ``image`` horizontally with ``probability``; the result is contiguous."""
    if random.random() >= probability:
        return np.ascontiguousarray(image)
    return np.asarray(cv2.flip(image, 1), dtype=np.uint8)  # forty times as fast as copying a view


def erase_randomly(image: Image, probability: float, fill: Colour, random: Generator) -> Image:
    """Covers a rectangle of ``image`` with ``fill``, with ``probability`` (random erasing, arXiv 1708.04896).

    The rectangle has 0.02 to 0.33 of the image's area, and a width / height of 0.3 to 3.3.
    """
    if random.random() >= probability:
        return image
    window = try_draw_window(image.shape[0], image.shape[1], ERASED_SCALE, ERASED_RATIO, random)
    if window is None:
        return image
    erased = image.copy()
    erased[window.slices] = fill
    return erased
