"""Augmentation for classifiers: a crop, one resize made of it, a flip; where asked for, policies and erasing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import cv2
import numpy as np
from numpy.random import Generator

from ..images import Image
from ..preprocessing import Preprocessing


class Augmentation(ABC):
    """What a data set does to an image while training: from the image as read to the network's input.

    All randomness comes from ``random``, so that a seed repeats and workers differ.
    """

    @abstractmethod
    def __call__(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        """Image ``[h, w, 3]`` uint8 → input ``[H, W, 3]`` uint8 of ``preprocessing.size``."""


class Resize(Augmentation):
    """No augmentation: the preprocessing alone, as in validation."""

    def __call__(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        return preprocessing.apply(image)


class CropAugmentation(Augmentation):
    """A random part of the image, resized to the input; then a flip (Inception, arXiv 1409.4842, section 6).

    Args:
        scale: least and greatest share of the image's area that is shown.
        ratio: least and greatest width over height of that part, drawn evenly by their logarithm.
        flip: probability of mirroring left and right.
    """

    def __init__(
        self,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be two rising shares in 0 … 1, not {scale}.")
        if not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"ratio must be two rising positive numbers, not {ratio}.")
        self.scale = scale
        self.ratio = ratio
        self.flip = flip

    def __call__(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        top, left, height, width = self.window(image.shape[0], image.shape[1], random)
        rows, columns = preprocessing.size
        part = image[top : top + height, left : left + width]
        shrunk = height > 2 * rows or width > 2 * columns
        shown = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
        return flipped(np.asarray(shown, dtype=np.uint8), self.flip, random)

    def window(self, height: int, width: int, random: Generator) -> tuple[int, int, int, int]:
        """Top, left, height and width of a part of ``height``×``width`` pixels; the middle where ten draws fail."""
        low, high = (math.log(ratio) for ratio in self.ratio)
        for _ in range(10):
            area = height * width * random.uniform(*self.scale)
            ratio = math.exp(random.uniform(low, high))
            wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < wide <= width and 0 < tall <= height:
                top, left = random.integers(height - tall + 1), random.integers(width - wide + 1)
                return int(top), int(left), tall, wide
        ratio = min(max(width / height, self.ratio[0]), self.ratio[1])
        wide, tall = min(width, round(height * ratio)), min(height, round(width / ratio))
        return (height - tall) // 2, (width - wide) // 2, tall, wide


class ShiftAugmentation(Augmentation):
    """The whole image as in validation, moved by some pixels; then a flip, as CIFAR is trained (arXiv 1512.03385, 4.2).

    Args:
        pixels: most that the input is moved in either direction; what comes in from outside has the mean colour.
        flip: probability of mirroring left and right.
    """

    def __init__(self, pixels: int = 4, flip: float = 0.5) -> None:
        if pixels < 0:
            raise ValueError(f"pixels must be 0 or more, not {pixels}.")
        self.pixels = pixels
        self.flip = flip

    def __call__(self, image: Image, preprocessing: Preprocessing, random: Generator) -> Image:
        shown, margin = preprocessing.apply(image), self.pixels
        rows, columns = preprocessing.size
        down, right = random.integers(2 * margin + 1, size=2)
        wider = cv2.copyMakeBorder(shown, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=preprocessing.fill)
        part = np.asarray(wider[down : down + rows, right : right + columns], dtype=np.uint8)
        return flipped(part, self.flip, random)


def flipped(image: Image, probability: float, random: Generator) -> Image:
    """``image`` mirrored left and right with some ``probability``; contiguous either way."""
    return np.ascontiguousarray(image[:, ::-1] if random.random() < probability else image)
