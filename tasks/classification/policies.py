"""RandAugment and TrivialAugment: random operations with few or no parameters, none of them learned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from numpy.random import Generator

from ...errors import check_range
from ..drawing import Colour
from ..images import Image
from . import operations as op


class Policy(ABC):
    """Random operations on the network's input, after crop and flip.

    All random numbers come from ``random``, so that a seed gives the same image in any worker.
    """

    @abstractmethod
    def __call__(self, image: Image, fill: Colour, random: Generator) -> Image:
        """Image ``[H, W, 3]`` uint8 → contiguous image of the same size.

        Args:
            image: contiguous; it is not modified, but may be returned.
            fill: colour of pixels that come from outside the image.
            random: source of all random numbers.
        """


class Choice(NamedTuple):
    """An operation and the range of its magnitude.

    Attributes:
        operation: function of image, magnitude and fill colour.
        weakest: magnitude in the first bin; 0 for operations without one.
        strongest: magnitude in the last bin.
        signed: whether the magnitude is negated with probability 0.5.
    """

    operation: op.Operation
    weakest: float = 0.0
    strongest: float = 0.0
    signed: bool = False

    def apply(self, image: Image, share: float, fill: Colour, random: Generator) -> Image:
        """Applies the operation with the magnitude at ``share``, 0 … 1, between the weakest and the strongest."""
        magnitude = self.weakest + share * (self.strongest - self.weakest)
        if self.signed and random.random() < 0.5:
            magnitude = -magnitude
        return self.operation(image, magnitude, fill)


#: operations of arXiv 1909.13719, figure 2, with the ranges of torchvision's RandAugment
MODERATE = (
    Choice(op.identity),
    Choice(op.shear_x, 0.0, 0.3, signed=True),
    Choice(op.shear_y, 0.0, 0.3, signed=True),
    Choice(op.translate_x_by_share, 0.0, 150 / 331, signed=True),  # AutoAugment's 150 of 331 pixels
    Choice(op.translate_y_by_share, 0.0, 150 / 331, signed=True),
    Choice(op.rotate, 0.0, 30.0, signed=True),
    Choice(op.brightness, 0.0, 0.9, signed=True),
    Choice(op.colour, 0.0, 0.9, signed=True),
    Choice(op.contrast, 0.0, 0.9, signed=True),
    Choice(op.sharpness, 0.0, 0.9, signed=True),
    Choice(op.posterize, 8, 4),
    Choice(op.solarize, 255, 0),
    Choice(op.autocontrast),
    Choice(op.equalize),
)

#: wide search space of arXiv 2103.10158, with the ranges of torchvision's TrivialAugmentWide
WIDE = (
    Choice(op.identity),
    Choice(op.shear_x, 0.0, 0.99, signed=True),
    Choice(op.shear_y, 0.0, 0.99, signed=True),
    Choice(op.translate_x, 0.0, 32.0, signed=True),
    Choice(op.translate_y, 0.0, 32.0, signed=True),
    Choice(op.rotate, 0.0, 135.0, signed=True),
    Choice(op.brightness, 0.0, 0.99, signed=True),
    Choice(op.colour, 0.0, 0.99, signed=True),
    Choice(op.contrast, 0.0, 0.99, signed=True),
    Choice(op.sharpness, 0.0, 0.99, signed=True),
    Choice(op.posterize, 8, 2),
    Choice(op.solarize, 255, 0),
    Choice(op.autocontrast),
    Choice(op.equalize),
)


class RandAugment(Policy):
    """A few operations in a row, each drawn from 14, all with the same magnitude (arXiv 1909.13719).

    Args:
        operations: number of operations per image, N in the paper, e.g. 2.
        magnitude: bin of their magnitude, M in the paper: 0, the weakest, to ``bins`` − 1, e.g. 9 of 31.
        bins: number of magnitudes that each range is divided into.
    """

    def __init__(self, operations: int = 2, magnitude: int = 9, bins: int = 31) -> None:
        check_range("bins", bins, ge=2)
        check_range("operations", operations, ge=1)
        check_range("magnitude", magnitude, ge=0, lt=bins)
        self.operations = operations
        self.magnitude = magnitude
        self.bins = bins

    def __call__(self, image: Image, fill: Colour, random: Generator) -> Image:
        for number in random.integers(len(MODERATE), size=self.operations):
            image = MODERATE[number].apply(image, self.magnitude / (self.bins - 1), fill, random)
        return image


class TrivialAugment(Policy):
    """One of 14 operations, with a magnitude drawn from a wide range; it needs no tuning (arXiv 2103.10158).

    Args:
        bins: number of magnitudes that each range is divided into.
    """

    def __init__(self, bins: int = 31) -> None:
        check_range("bins", bins, ge=2)
        self.bins = bins

    def __call__(self, image: Image, fill: Colour, random: Generator) -> Image:
        choice, magnitude = WIDE[int(random.integers(len(WIDE)))], int(random.integers(self.bins))
        return choice.apply(image, magnitude / (self.bins - 1), fill, random)
