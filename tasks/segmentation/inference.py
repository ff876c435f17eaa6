"""From images to scores of every pixel: at once, by windows, and over several scales and mirrored."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from ...heads.contract import full_precision

MOST_SCALE = 8  # times its size that a picture may be looked at; memory grows by the square


@dataclass(frozen=True)
class Inference:
    """How scores are computed; the default is what the network says of the whole input.

    Where there are several views of a pixel, its scores are the mean of their softmax.

    Attributes:
        window: (height, width) of windows that are slid over the input, in pixels; None shows all of it at once.
        overlap: least share of a window's side that the next one shows again.
        scales: factors of the input's size.
        flip: whether to look at the mirror image as well.

    Raises:
        ValueError: a value is out of its range.
    """

    window: tuple[int, int] | None = None
    overlap: float = 1 / 3
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and (len(self.window) != 2 or min(self.window) < 32):
            raise UserError(f"window must be (height, width) of at least 32 pixels each, not {self.window}.")
        if not 0 <= self.overlap < 1:
            raise UserError(f"overlap must be a share in 0 … 1, 1 not included, not {self.overlap}.")
        if not self.scales or not all(0 < scale <= MOST_SCALE for scale in self.scales):
            raise UserError(f"scales must be factors above 0 and up to {MOST_SCALE}, one at least, not {self.scales}.")

    def __str__(self) -> str:
        said = [f"scales {', '.join(f'{scale:g}' for scale in self.scales)}"]
        if self.flip:
            said.append("mirror images")
        if self.window is not None:
            said.append(f"windows of {self.window[0]}×{self.window[1]} pixels that share {self.overlap:.0%}")
        return ", ".join(said)

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Images ``[N, 3, H, W]``, uint8 or floats in 0 … 1 → scores ``[N, C, H, W]``.

        Args:
            network: gives logits of the size of its input.
            images: of one size.
        """
        size = (images.shape[2], images.shape[3])
        at_once = self.window is None or (self.window[0] >= size[0] and self.window[1] >= size[1])
        if at_once and tuple(self.scales) == (1,) and not self.flip:
            return full_precision(network(images))
        views = (view for scale in self.scales for view in self._views(network, scaled(images, scale)))
        total = resized(next(views), size)
        for view in views:  # one after the other: all of them would take as many times the memory
            total += resized(view, size)
        return total / (len(self.scales) * (1 + self.flip))

    def _views(self, network: nn.Module, images: Tensor) -> Iterator[Tensor]:
        """Probabilities ``[N, C, H, W]`` of images at one scale, and of their mirror images turned back."""
        yield self._probabilities(network, images)
        if self.flip:
            yield self._probabilities(network, images.flip(3)).flip(3)

    def _probabilities(self, network: nn.Module, images: Tensor) -> Tensor:
        """Softmax of the whole, or the mean of the windows that show a pixel."""
        if self.window is None:
            return full_precision(network(images)).softmax(1)
        height, width = (min(side, whole) for side, whole in zip(self.window, images.shape[2:], strict=True))
        total, count = None, images.new_zeros(images.shape[2:], dtype=torch.float32)
        downs = starts(images.shape[2], height, self.overlap)
        for top, left in itertools.product(downs, starts(images.shape[3], width, self.overlap)):
            place = (slice(top, top + height), slice(left, left + width))
            found = full_precision(network(images[:, :, *place])).softmax(1)
            if total is None:
                total = found.new_zeros(*found.shape[:2], *images.shape[2:])
            total[:, :, *place] += found
            count[place] += 1
        assert total is not None
        return total / count


def starts(whole: int, window: int, overlap: float) -> list[int]:
    """Where windows begin that cover ``whole`` pixels evenly, each showing ``overlap`` of the one before or more."""
    # in whole pixels, since places are rounded
    steps = math.ceil((whole - window) / max(1, window - math.ceil(window * overlap)))
    return [round(k * (whole - window) / max(1, steps)) for k in range(steps + 1)]


def scaled(images: Tensor, scale: float) -> Tensor:
    """Images at ``scale`` times their size, 32 pixels a side at least, as floats in 0 … 1 unless nothing changes."""
    size = (max(32, round(images.shape[2] * scale)), max(32, round(images.shape[3] * scale)))
    if size == tuple(images.shape[2:]):
        return images
    values = images if images.is_floating_point() else images.float() / 255
    # smoothed where it shrinks, as pictures are when they are read
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)


def resized(probabilities: Tensor, size: tuple[int, int]) -> Tensor:
    """``probabilities`` at another size."""
    if tuple(probabilities.shape[2:]) == size:
        return probabilities
    return F.interpolate(probabilities, size=size, mode="bilinear", align_corners=False)
