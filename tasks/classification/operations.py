"""What policies do to an image: small operations on uint8, each with one magnitude.

They compute what torchvision's do on uint8 tensors; where colours can differ by 1 of 255, the operation says why. All
take an image ``[H, W, 3]`` uint8 of any size, a magnitude, and the colour of what comes in from outside, and give an
image of the same size, never changing theirs. Those that need no magnitude or colour take them nonetheless, so that a
policy need not know which do.
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
# torchvision and Pillow cut off weighted sums, OpenCV rounds them: nearly a half is taken away, not all of it, or whole
# numbers would be rounded down
CUT_OFF = -0.499
# a 3×3 mean whose middle counts five times, as in Pillow
SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13


def identity(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """The image itself."""
    return image


# geometry


def warp(image: Image, inverse: list[list[float]], fill: Colour) -> Image:
    """Fetches each pixel from the one nearest to where ``inverse`` ``[2, 3]`` says; outside ``image`` lies ``fill``.

    Nearest is torchvision's default for policies; bilinear takes four times as long.
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
    """Moves every row to the left by ``slope`` times its distance from the upper edge."""
    return warp(image, [[1, slope, slope / 2], [0, 1, 0]], fill)


def shear_y(image: Image, slope: float, fill: Colour) -> Image:
    """Moves every column upwards by ``slope`` times its distance from the left edge."""
    return warp(image, [[1, 0, 0], [slope, 1, slope / 2]], fill)


def translate_x(image: Image, pixels: float, fill: Colour) -> Image:
    """Moves the image to the right by the whole part of ``pixels``."""
    return warp(image, [[1, 0, -int(pixels)], [0, 1, 0]], fill)


def translate_y(image: Image, pixels: float, fill: Colour) -> Image:
    """Moves the image down by the whole part of ``pixels``."""
    return warp(image, [[1, 0, 0], [0, 1, -int(pixels)]], fill)


def translate_x_by_share(image: Image, share: float, fill: Colour) -> Image:
    """Moves the image to the right by a ``share`` of its width."""
    return translate_x(image, share * image.shape[1], fill)


def translate_y_by_share(image: Image, share: float, fill: Colour) -> Image:
    """Moves the image down by a ``share`` of its height."""
    return translate_y(image, share * image.shape[0], fill)


def rotate(image: Image, degrees: float, fill: Colour) -> Image:
    """Turns the image about its middle, against the clock."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    return warp(image, [[cosine, -sine, x - cosine * x + sine * y], [sine, cosine, y - sine * x - cosine * y]], fill)


# colours


def looked_up(image: Image, table: NDArray[np.float32] | NDArray[np.int64]) -> Image:
    """Replaces each value by that of ``table`` ``[256]``, or of its channel's in ``[256, 3]``, cut off and clipped."""
    values = table.clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, values if values.ndim == 1 else values[None]), dtype=np.uint8)


def grey(image: Image) -> Image:
    """Brightness ``[H, W]``, rounded; torchvision cuts it off, which is why what is made of it can differ by 1."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def brightness(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies values by 1 + ``change``."""
    return looked_up(image, LEVELS.astype(np.float32) * np.float32(1 + change))


def contrast(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies distances from the mean brightness by 1 + ``change``."""
    mean = cv2.mean(grey(image))[0]
    return looked_up(image, LEVELS.astype(np.float32) * np.float32(1 + change) - np.float32(change * mean))


def colour(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies distances from grey by 1 + ``change``."""
    colourless = cv2.cvtColor(grey(image), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, 1 + change, colourless, -change, CUT_OFF), dtype=np.uint8)


def sharpness(image: Image, change: float, _fill: Colour) -> Image:
    """Multiplies distances from a smoothed image by 1 + ``change``, except at the edges, which have no neighbours."""
    if min(image.shape[:2]) < 3:
        return image
    smooth = cv2.filter2D(image, -1, SMOOTH)
    sharp = np.asarray(cv2.addWeighted(image, 1 + change, smooth, -change, CUT_OFF), dtype=np.uint8)
    sharp[[0, -1]] = image[[0, -1]]
    sharp[:, [0, -1]] = image[:, [0, -1]]
    return sharp


def posterize(image: Image, bits: float, _fill: Colour) -> Image:
    """Keeps the upper ``bits``, rounded, of 8."""
    return image & np.uint8(256 - 2 ** (8 - round(bits)))


def solarize(image: Image, threshold: float, _fill: Colour) -> Image:
    """Inverts values from ``threshold`` on, in 0 … 255."""
    return looked_up(image, np.where(threshold <= LEVELS, 255 - LEVELS, LEVELS))


def autocontrast(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """Stretches each channel to 0 … 255, unless it has one value alone.

    Whole numbers are exact here; torchvision's float32 comes out below some of them and cuts off 1 more.
    """
    least = image.min(axis=0).min(axis=0).astype(np.int64)  # far quicker than both axes together
    span = image.max(axis=0).max(axis=0) - least
    stretched = (LEVELS[:, None] - least) * 255 // np.maximum(1, span)
    return looked_up(image, np.where(span > 0, stretched, LEVELS[:, None]))


def equalize(image: Image, _magnitude: float, _fill: Colour) -> Image:
    """Spreads each channel's values so that all are about as frequent, by Pillow's rule.

    A value becomes the number of pixels below it over a step: a 255th of the pixels that are not the greatest value.
    Where that is less than one pixel, the channel stays as it is.
    """
    # one or two axes, depending on OpenCV's version
    counts = np.stack([cv2.calcHist([image], [k], None, [256], [0, 256]).ravel() for k in range(3)], 1).astype(np.int64)
    below = counts.cumsum(axis=0) - counts
    step = below.max(axis=0) // 255
    spread = (below + step // 2) // np.maximum(1, step)
    return looked_up(image, np.where(step > 0, spread, LEVELS[:, None]))
