"""Anchors of SSD: boxes of several scales and aspect ratios around every cell of every map (arXiv 1512.02325, 2.2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ...errors import UserError

Layout = Literal["torchvision", "tensorflow"]
Shape = tuple[float, float]


def default_scales(levels: int, smallest: float = 0.2, largest: float = 0.95) -> list[float]:
    """Scales from ``smallest`` to ``largest`` in equal steps, one a level, and 1.0 to interpolate the last with."""
    if levels == 1:
        return [smallest, largest]
    return [smallest + (largest - smallest) * k / (levels - 1.0) for k in range(levels)] + [1.0]


class AnchorGenerator:
    """Lays anchors over maps of any size.

    A scale is a share of the image's shorter side, so that ratios keep their meaning on images that are not square;
    an anchor is cut to at most the image's width and height.

    Args:
        scales: one scale a level, and one more which the last level's interpolated box is the geometric mean with.
        ratios: aspect ratios beside 1, one sequence for all levels or one a level; each stands for itself and its
            inverse.
        layout: "torchvision" lays 2 + 2·len(ratios) boxes on every map; "tensorflow" reduces the finest map to three:
            a square of half its scale, and the first ratio and its inverse at full scale.

    Raises:
        ValueError: numbers of scales or ratios do not fit, or are not positive.
    """

    def __init__(
        self,
        scales: Sequence[float],
        ratios: Sequence[float] | Sequence[Sequence[float]],
        layout: Layout = "torchvision",
    ) -> None:
        levels = len(scales) - 1
        nested = [list(r) for r in ratios if isinstance(r, Sequence)]
        per_level = nested or [[r for r in ratios if not isinstance(r, Sequence)]] * levels
        if levels < 1 or len(per_level) != levels:
            raise UserError(
                f"{len(scales)} scales serve {levels} levels (one scale more than levels is needed), but ratios are "
                f"given for {len(per_level)}."
            )
        if min(scales) <= 0 or min((r for level in per_level for r in level), default=1.0) <= 0:
            raise UserError(f"Scales and ratios of anchors must be positive, not {list(scales)} and {per_level}.")
        self.scales, self.ratios = scales, ratios
        self.layout: Layout = layout
        self.shapes: list[list[Shape]] = [level_shapes(scales[k], scales[k + 1], per_level[k]) for k in range(levels)]
        if layout == "tensorflow":
            if not per_level[0]:
                raise UserError("The tensorflow layout needs a ratio for the finest map.")
            self.shapes[0] = lowest_shapes(scales[0], per_level[0])

    @property
    def per_cell(self) -> list[int]:
        """Anchors a cell, level by level."""
        return [len(level) for level in self.shapes]

    def __call__(self, grids: Sequence[tuple[int, int]], image_size: tuple[int, int], like: Tensor) -> Tensor:
        """Anchors ``[A, 4]`` as x1, y1, x2, y2 in pixels, level by level, row by row, cell by cell.

        Args:
            grids: (rows, columns) of each map.
            image_size: (height, width) of the images in pixels.
            like: gives device and type; anchors are never coarser than float32.
        """
        # The order of operations and the float32 in the middle are torchvision's: which anchor is the best of an object
        # hangs on the last bit where several tie, as those do that contain a small object whole.
        dtype = torch.promote_types(like.dtype, torch.float32)
        height, width = image_size
        shorter = min(image_size)
        levels: list[Tensor] = []
        for (rows, columns), shapes in zip(grids, self.shapes, strict=True):
            y = ((torch.arange(rows, device=like.device) + 0.5) / rows).to(dtype)
            x = ((torch.arange(columns, device=like.device) + 0.5) / columns).to(dtype)
            relative = [(w * (shorter / width), h * (shorter / height)) for w, h in shapes]
            half = 0.5 * torch.tensor(relative, device=like.device).clamp(max=1).to(dtype)
            centre = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).unsqueeze(2)
            levels.append(torch.cat((centre - half, centre + half), dim=-1).reshape(-1, 4))
        return torch.cat(levels) * torch.tensor([width, height, width, height], device=like.device)


def level_shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> list[Shape]:
    """(width, height) of a level's boxes: the square, the interpolated square, then each ratio and its inverse."""
    between = math.sqrt(scale * next_scale)
    shapes = [(scale, scale), (between, between)]
    for ratio in ratios:
        long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return shapes


def lowest_shapes(scale: float, ratios: Sequence[float]) -> list[Shape]:
    """The three boxes that TensorFlow's detection API leaves on the finest map."""
    long, short = scale * math.sqrt(ratios[0]), scale / math.sqrt(ratios[0])
    return [(scale / 2, scale / 2), (long, short), (short, long)]
