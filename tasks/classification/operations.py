"""Operations of augmentation policies, on uint8 images with OpenCV.

Each operation takes an image ``[H, W, 3]`` uint8 of any size, a magnitude, and the colour of pixels that come from
outside the image. It returns an image of the same size and does not modify its input. All operations have this
signature, even if they ignore magnitude or colour, so that a policy can call any of them.

Results equal torchvision's on uint8 tensors, except where colours can differ by 1 of 255; docstrings say why.
The policies of torchvision and timm slow a worker down by more than 20 %, see docs/benchmarks.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from ..drawing import Colour
from ..images import Image

Operation = Callable[[Image, float, Colour], Image]

LEVELS = np.arange(256)
# torchvision and Pillow truncate weighted sums, OpenCV rounds them. Adding this truncates; −0.5 would also round whole
# numbers down.
TRUNCATE = -0.499
# a 3×3 mean with five times the weight at the centre, as in Pillow
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13


def identity(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """Returns the image unchanged."""
    return image


# geometry


def warp(image: Image, inverse: list[list[float]], fill: Colour) -> Image:
    """Warps by the matrix ``inverse`` ``[2, 3]`` from output to input pixels; pixels from outside get ``fill``.

    It takes the nearest pixel, as torchvision's policies do by default; bilinear interpolation is four times slower.
    """
    warped = cv2.warpAffine(
        image,
        np.array(inverse, dtype=np.float64),
        (image.shape[1], image.shape[0]),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return np.asarray(warped, dtype=np.uint8)


def shear_x(image: Image, slope: float, fill: Colour) -> Image:
    """Shifts every row to the left by ``slope`` times its distance from the top."""
    return warp(image, [[1, slope, slope / 2], [0, 1, 0]], fill)


def shear_y(image: Image, slope: float, fill: Colour) -> Image:
    """Shifts every column up by ``slope`` times its distance from the left."""
    return warp(image, [[1, 0, 0], [slope, 1, slope / 2]], fill)


def translate_x(image: Image, pixels: float, fill: Colour) -> Image:
    """Shifts the image to the right by the integer part of ``pixels``."""
    return warp(image, [[1, 0, -int(pixels)], [0, 1, 0]], fill)


def translate_y(image: Image, pixels: float, fill: Colour) -> Image:
    """Shifts the image down by the integer part of ``pixels``."""
    return warp(image, [[1, 0, 0], [0, 1, -int(pixels)]], fill)


def translate_x_by_share(image: Image, share: float, fill: Colour) -> Image:
    """Shifts the image to the right by a ``share`` of its width."""
    return translate_x(image, share * image.shape[1], fill)


def translate_y_by_share(image: Image, share: float, fill: Colour) -> Image:
    """Shifts the image down by a ``share`` of its height."""
    return translate_y(image, share * image.shape[0], fill)


def rotate(image: Image, degrees: float, fill: Colour) -> Image:
    """Rotates the image counter-clockwise about its centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    return warp(image, [[cosine, -sine, x - cosine * x + sine * y], [sine, cosine, y - sine * x - cosine * y]], fill)


# colours


def apply_table(image: Image, table: NDArray[np.float32] | NDArray[np.int64]) -> Image:
    """Looks values up in ``table`` ``[256]``, or ``[256, 3]`` with one column per channel; clips and truncates them."""
    values = table.clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, values if values.ndim == 1 else values[None]), dtype=np.uint8)


def to_grey(image: Image) -> Image:
    """Returns the brightness ``[H, W]``, rounded; torchvision truncates it, so results can differ by 1."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def brightness(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies values by 1 + ``change``."""
    return apply_table(image, LEVELS.astype(np.float32) * np.float32(1 + change))


def contrast(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies differences from the mean brightness by 1 + ``change``."""
    mean = cv2.mean(to_grey(image))[0]
    return apply_table(image, LEVELS.astype(np.float32) * np.float32(1 + change) - np.float32(change * mean))


def colour(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies differences from grey by 1 + ``change``."""
    colourless = cv2.cvtColor(to_grey(image), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, 1 + change, colourless, -change, TRUNCATE), dtype=np.uint8)


def sharpness(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies differences from a smoothed image by 1 + ``change``, except in the outermost pixels."""
    if min(image.shape[:2]) < 3:
        return image
    smooth = cv2.filter2D(image, -1, SMOOTH)
    sharp = np.asarray(cv2.addWeighted(image, 1 + change, smooth, -change, TRUNCATE), dtype=np.uint8)
    sharp[[0, -1]] = image[[0, -1]]
    sharp[:, [0, -1]] = image[:, [0, -1]]
    return sharp


def posterize(image: Image, bits: float, _fill: Colour) -> Image:
    """Keeps the ``bits`` most significant of 8 bits; ``bits`` is rounded."""
    return image & np.uint8(256 - 2 ** (8 - round(bits)))


def solarize(image: Image, threshold: float, _fill: Colour) -> Image:
    """Inverts values of at least ``threshold``, which is in 0 … 255."""
    return apply_table(image, np.where(threshold <= LEVELS, 255 - LEVELS, LEVELS))


def autocontrast(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """Stretches each channel to 0 … 255, unless it has only one value.

    This computes with integers. torchvision's float32 values can fall just below a whole number, and truncation then
    gives 1 less.
    """
    least = image.min(axis=0).min(axis=0).astype(np.int64)  # much faster than both axes together
    span = image.max(axis=0).max(axis=0) - least
    stretched = (LEVELS[:, None] - least) * 255 // np.maximum(1, span)
    return apply_table(image, np.where(span > 0, stretched, LEVELS[:, None]))


def equalize(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """Equalises the histogram of each channel by Pillow's rule.

    A value becomes the number of pixels with lower values, divided by a step: the number of pixels without the highest
    value, divided by 255. If the step is less than one pixel, the channel does not change.
    """
    # ravel, because the result has one or two axes, depending on OpenCV's version
    counts = np.stack([cv2.calcHist([image], [k], None, [256], [0, 256]).ravel() for k in range(3)], 1).astype(np.int64)
    below = counts.cumsum(axis=0) - counts
    step = below.max(axis=0) // 255
    spread = (below + step // 2) // np.maximum(1, step)
    return apply_table(image, np.where(step > 0, spread, LEVELS[:, None]))
