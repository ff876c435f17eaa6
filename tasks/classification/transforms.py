"""Augmentation for classifiers: a crop, one resize made of it, a flip; where asked for, policies and erasing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator

from ...errors import UserError
from ..drawing import Colour
from ..images import Image, resize_image
from ..preprocessing import Preprocessing
from .policies import Policy
from .split import Sample

# the ranges of torchvision's RandomErasing
ERASED_SCALE, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)


class Window(NamedTuple):
    """A part of an image, in whole pixels."""

    top: int
    left: int
    height: int
    width: int


class Augmentation(ABC):
    """What a data set does to an image while training: from the image as read to the network's input.

    All randomness comes from ``random``, so that a seed reproduces the sample in any worker.
    """

    def __call__(self, sample: Sample, preprocessing: Preprocessing, random: Generator) -> Sample:
        """Augments the image of ``sample``."""
        return sample._replace(image=self.augment(sample.image, preprocessing, random))

    @abstractmethod
    def augment(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        """Image ``[h, w, 3]`` uint8 → input ``[H, W, 3]`` uint8 of ``preprocessing.size``."""


class Resize(Augmentation):
    """No augmentation: the preprocessing alone, as in validation."""

    def augment(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        return preprocessing.apply(image)


class View(Augmentation):
    """A part of the image as the input; then flip, policy and erasing, in this order.

    Args:
        flip: probability of mirroring left and right.
        policy: operations on colours and geometry; None for none.
        random_erasing: probability of hiding a rectangle, see :func:`erased`.
    """

    def __init__(self, flip: float, policy: Policy | None, random_erasing: float) -> None:
        for name, probability in (("flip", flip), ("erasing", random_erasing)):
            if not 0 <= probability <= 1:
                raise UserError(f"{name} must be a probability in 0 … 1, not {probability}.")
        self.flip = flip
        self.policy = policy
        self.random_erasing = random_erasing

    @abstractmethod
    def part(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        """Image ``[h, w, 3]`` uint8 → the part that is shown, ``[H, W, 3]`` uint8 of ``preprocessing.size``."""

    def augment(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        shown = flipped(self.part(image, preprocessing, random), self.flip, random)
        if self.policy is not None:
            shown = self.policy(shown, preprocessing.fill, random)
        return erased(shown, self.random_erasing, preprocessing.fill, random)


class CropAugmentation(View):
    """A random part of the image, resized to the input (Inception, arXiv 1409.4842, section 6); see :class:`View`.

    Args:
        scale: least and greatest share of the image's area that is shown.
        ratio: least and greatest width over height of that part, drawn evenly by their logarithm.
        flip: probability of mirroring left and right.
        policy: operations on colours and geometry, such as :class:`.policies.TrivialAugment`; None for none.
        random_erasing: probability of hiding a rectangle under the mean colour.
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        policy: Policy | None = None,
        random_erasing: float = 0.0,
    ) -> None:
        super().__init__(flip, policy, random_erasing)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise UserError(f"scale must be two rising shares in 0 … 1, not {scale}.")
        if not 0 < ratio[0] <= ratio[1]:
            raise UserError(f"ratio must be two rising positive numbers, not {ratio}.")
        self.scale = scale
        self.ratio = ratio

    def part(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        top, left, height, width = self.window(image.shape[0], image.shape[1], random)
        rows, columns = preprocessing.size
        return resize_image(image[top : top + height, left : left + width], rows, columns)

    def window(self, height: int, width: int, random: Generator) -> Window:
        """A part of ``height``×``width`` pixels; the middle where none of scale and ratio can be found."""
        found = drawn_window(height, width, self.scale, self.ratio, random)
        if found is not None:
            return found
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        wide, tall = max(1, min(width, round(height * ratio))), max(1, min(height, round(width / ratio)))
        return Window((height - tall) // 2, (width - wide) // 2, tall, wide)


class ShiftAugmentation(View):
    """The whole image as in validation, moved by some pixels (CIFAR in arXiv 1512.03385, 4.2); see :class:`View`.

    Args:
        pixels: most that the input is moved in either direction; what comes in from outside has the mean colour.
        flip: probability of mirroring left and right.
        policy: operations on colours and geometry, such as :class:`.policies.TrivialAugment`; None for none.
        random_erasing: probability of hiding a rectangle under the mean colour.
    """

    def __init__(
        self, pixels: int = 4, flip: float = 0.5, policy: Policy | None = None, random_erasing: float = 0.0
    ) -> None:
        super().__init__(flip, policy, random_erasing)
        if pixels < 0:
            raise UserError(f"pixels must be 0 or more, not {pixels}.")
        self.pixels = pixels

    def part(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        shown, margin = preprocessing.apply(image), self.pixels
        rows, columns = preprocessing.size
        down, right = random.integers(2 * margin + 1, size=2)
        wider = cv2.copyMakeBorder(shown, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=preprocessing.fill)
        return np.asarray(wider[down : down + rows, right : right + columns], dtype=np.uint8)


def drawn_window(
    height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float], random: Generator
) -> Window | None:
    """A part of ``height``×``width`` pixels somewhere in them; None where ten draws do not fit in.

    Args:
        height: of the whole.
        width: of the whole.
        scale: least and greatest share of its area.
        ratio: least and greatest width over height, drawn evenly by their logarithm.
        random: where all draws come from.
    """
    low, high = math.log(ratio[0]), math.log(ratio[1])
    for _ in range(10):
        area = height * width * random.uniform(*scale)
        shape = math.exp(random.uniform(low, high))
        wide, tall = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < wide <= width and 0 < tall <= height:
            top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
            return Window(int(top), int(left), tall, wide)
    return None


def flipped(image: Image, probability: float, random: Generator) -> Image:
    """``image`` mirrored left and right with some ``probability``; contiguous either way."""
    return np.ascontiguousarray(image[:, ::-1] if random.random() < probability else image)


def erased(image: Image, probability: float, fill: Colour, random: Generator) -> Image:
    """``image`` with a rectangle of ``fill`` on it with some ``probability`` (random erasing, arXiv 1708.04896).

    The rectangle has 0.02 to 0.33 of the image's area and a ratio of 0.3 to 3.3.
    """
    if random.random() >= probability:
        return image
    window = drawn_window(image.shape[0], image.shape[1], ERASED_SCALE, ERASED_RATIO, random)
    if window is None:
        return image
    hidden = image.copy()
    hidden[window.top : window.top + window.height, window.left : window.left + window.width] = fill
    return hidden
