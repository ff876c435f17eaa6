"""Computes scores of every pixel: from the whole image, in sliding windows, at several scales, and mirrored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError, check_range
from ...heads.contract import full_precision
from ...heads.pixels import resize_maps

DEFAULT_OVERLAP = 1 / 3
MAX_SCALE = 8  # memory grows with the square of the scale


@dataclass(frozen=True)
class Inference:
    """How scores are computed; by default, the network sees the whole input once.

    If a pixel is seen several times, its scores are the mean of the softmax.

    Attributes:
        window: (height, width) of sliding windows in pixels of the input, e.g. [512, 1024]; None uses none.
        overlap: smallest share of a window that the next one overlaps, e.g. 0.5.
        scales: factors of the input's size, e.g. [0.75, 1, 1.25]; more scales are slower and more accurate.
        flip: whether to add the mirrored image, which takes twice as long.

    Raises:
        UserError: a value is out of range.
    """

    window: tuple[int, int] | None = None
    overlap: float = DEFAULT_OVERLAP
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and (len(self.window) != 2 or min(self.window) < 32):
            raise UserError(f"window must be (height, width) of at least 32 pixels each, not {self.window}.")
        check_range("overlap", self.overlap, ge=0, lt=1)
        if self.window is None and self.overlap != DEFAULT_OVERLAP:
            raise UserError("overlap is for sliding windows: set window=[HEIGHT,WIDTH], too.")
        if not self.scales or not all(0 < scale <= MAX_SCALE for scale in self.scales):
            raise UserError(f"scales must be one or more factors above 0 and up to {MAX_SCALE}, not {self.scales}.")

    def __str__(self) -> str:
        parts = [f"scales {', '.join(f'{scale:g}' for scale in self.scales)}"]
        if self.flip:
            parts.append("mirrored images")
        if self.window is not None:
            parts.append(f"windows of {self.window[0]}×{self.window[1]} pixels that overlap by {self.overlap:.0%}")
        return ", ".join(parts)

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Computes scores ``[N, C, H, W]``: logits if every pixel is seen once, else probabilities.

        Args:
            network: returns logits of the size of its input.
            images: ``[N, 3, H, W]``, uint8 or floats in 0 … 1.
        """
        size = (images.shape[2], images.shape[3])
        is_one_window = self.window is None or (self.window[0] >= size[0] and self.window[1] >= size[1])
        if is_one_window and tuple(self.scales) == (1,) and not self.flip:
            return full_precision(network(images))
        views = (view for scale in self.scales for view in self._views(network, scale_images(images, scale)))
        total = resize_scores(next(views), size)
        for view in views:  # one after the other, because memory would grow with the number of views
            total += resize_scores(view, size)
        return total / (len(self.scales) * (1 + self.flip))

    def _views(self, network: nn.Module, images: Tensor) -> Iterator[Tensor]:
        """Yields probabilities ``[N, C, H, W]`` at one scale, and those of mirrored images, flipped back."""
        yield self._probabilities(network, images)
        if self.flip:
            yield self._probabilities(network, images.flip(3)).flip(3)

    def _probabilities(self, network: nn.Module, images: Tensor) -> Tensor:
        """Returns the softmax, or its mean over the windows that contain a pixel."""
        if self.window is None:
            return full_precision(network(images)).softmax(1)
        size = images.shape[2:]
        height, width = min(self.window[0], size[0]), min(self.window[1], size[1])
        total, count = None, images.new_zeros(size, dtype=torch.float32)
        tops, lefts = window_starts(size[0], height, self.overlap), window_starts(size[1], width, self.overlap)
        for top, left in itertools.product(tops, lefts):
            region = (slice(top, top + height), slice(left, left + width))
            probabilities = full_precision(network(images[:, :, *region])).softmax(1)
            if total is None:
                total = probabilities.new_zeros(*probabilities.shape[:2], *size)
            total[:, :, *region] += probabilities
            count[region] += 1
        assert total is not None
        return total / count


def window_starts(size: int, window: int, overlap: float) -> list[int]:
    """Returns the first pixels of evenly spaced windows over ``size`` pixels that overlap by ``overlap`` or more."""
    # round the overlap up, because starts are rounded to whole pixels
    steps = math.ceil((size - window) / max(1, window - math.ceil(window * overlap)))
    return [round(k * (size - window) / max(1, steps)) for k in range(steps + 1)]


def scale_images(images: Tensor, scale: float) -> Tensor:
    """Resizes images to ``scale`` times their size, at least 32×32 pixels.

    Returns:
        Floats in 0 … 1, or ``images`` themselves if their size does not change.
    """
    size = (max(32, round(images.shape[2] * scale)), max(32, round(images.shape[3] * scale)))
    if size == tuple(images.shape[2:]):
        return images
    values = images if images.is_floating_point() else images.float() / 255
    # antialiased when shrinking, as images are when they are read
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)


def resize_scores(scores: Tensor, size: tuple[int, int]) -> Tensor:
    """Resizes scores ``[N, C, h, w]`` to ``size`` unless they already have it."""
    return scores if tuple(scores.shape[2:]) == size else resize_maps(scores, size)
