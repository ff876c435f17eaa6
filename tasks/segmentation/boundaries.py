"""Counts how well the boundaries of classes in predictions agree with those in masks.

The measure is the boundary F-score (BF) of Csurka et al., "What is a good evaluation measure for semantic
segmentation?", BMVC 2013. It is computed from the shares of boundary pixels that have a boundary pixel of the same
class near them in the other label map. The paper averages F over images; here, numbers of pixels are summed over the
images first, as IoU sums them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...heads.predictions import IGNORED
from .masks import Labels, reduce_labels

TOLERANCE = 0.0075  # of the image's diagonal, as in the paper
MIN_TOLERANCE = 1.0  # pixels
MAX_SIDE = 1024  # pixels; the time grows with the third power of the side
WORDS = (np.uint8, np.uint16, np.uint32, np.uint64)  # of one bit per class


def count_boundaries(predicted: Labels, truth: Labels) -> NDArray[np.int64]:
    """Counts the boundary pixels of one image: class and the four numbers of :class:`Boundaries`, ``[B, 5]``.

    A boundary pixel has a pixel of another class above, below, left or right of it. Ignored pixels have no class, also
    in the prediction. Two boundary pixels are near each other up to a Euclidean distance of 0.75 % of the image's
    diagonal, at least 1 pixel. Label maps with a longer side than 1024 pixels are first reduced to it (nearest
    neighbour).

    Args:
        predicted: class indices, ``[H, W]``.
        truth: class indices, ``[H, W]``, 255 for ignored pixels.
    """
    truth, predicted = (reduce_labels(labels, MAX_SIDE) for labels in (truth, predicted))
    predicted = np.where(truth == IGNORED, np.uint8(IGNORED), predicted)
    tolerance = max(MIN_TOLERANCE, TOLERANCE * math.hypot(*truth.shape))
    borders = [find_boundaries(labels) for labels in (truth, predicted)]
    numbers = np.stack([count_labels(border[border != IGNORED]) for border in borders])
    classes = np.flatnonzero(numbers.any(axis=0))
    near = np.zeros_like(numbers)
    limit = 8 * np.dtype(WORDS[-1]).itemsize
    for start in range(0, len(classes), limit):
        near += count_near(borders, classes[start : start + limit], tolerance)
    return np.column_stack((classes, numbers[:, classes].T, near[:, classes].T))


def count_labels(labels: Labels) -> NDArray[np.int64]:
    """Counts how often each class index occurs, ``[255]``."""
    return np.bincount(labels, minlength=IGNORED)


def find_boundaries(labels: Labels) -> Labels:
    """Returns the class of each boundary pixel of a label map, ``[H, W]``, and 255 elsewhere."""
    is_boundary = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        first, second = (labels[1:], labels[:-1]) if axis == 0 else (labels[:, 1:], labels[:, :-1])
        differs = (first != second) & (first != IGNORED) & (second != IGNORED)
        ends = (is_boundary[1:], is_boundary[:-1]) if axis == 0 else (is_boundary[:, 1:], is_boundary[:, :-1])
        for end in ends:
            end |= differs
    return np.where(is_boundary, labels, np.uint8(IGNORED))


def count_near(borders: list[Labels], classes: NDArray[np.intp], tolerance: float) -> NDArray[np.int64]:
    """Counts the boundary pixels of ``classes`` near one of the same class in the other label map, ``[2, 255]``.

    Args:
        borders: classes of the boundary pixels of mask and prediction, ``[H, W]`` each.
        classes: at most 64 of them, ``[K]``.
        tolerance: greatest distance in pixels.
    """
    # a bit for each class: all classes are dilated at once, in a fraction of the time of a distance transform for each
    word = next(word for word in WORDS if len(classes) <= 8 * np.dtype(word).itemsize)
    bits = np.zeros(IGNORED + 1, dtype=word)
    bits[classes] = np.left_shift(np.ones(len(classes), dtype=word), np.arange(len(classes), dtype=word))
    near = np.zeros((2, IGNORED), dtype=np.int64)
    for row, (border, other) in enumerate((borders, borders[::-1])):
        reached = dilate(bits[other], tolerance).ravel()
        pixels = np.flatnonzero(border != IGNORED)
        found = border.ravel()[pixels]
        is_near = (reached[pixels] & bits[found]) != 0
        near[row] = count_labels(found[is_near])
    return near


def dilate(bits: NDArray[np.unsignedinteger], radius: float) -> NDArray[np.unsignedinteger]:
    """Spreads each bit of an image ``[H, W]`` over a disc."""
    height, width = bits.shape
    spread, result = bits.copy(), np.zeros_like(bits)  # spread: over a row, ever wider
    reaches = [math.isqrt(math.floor(radius**2) - shift**2) for shift in range(math.floor(radius) + 1)]
    for reach in range(reaches[0] + 1):
        if 0 < reach < width:
            spread[:, reach:] |= bits[:, :-reach]
            spread[:, :-reach] |= bits[:, reach:]
        for shift in (shift for shift, widest in enumerate(reaches) if widest == reach and shift < height):
            result[shift:] |= spread[: height - shift]
            result[: height - shift] |= spread[shift:]
    return result
