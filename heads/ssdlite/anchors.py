"""SSD's anchors: boxes of several scales and aspect ratios at every cell of every map (arXiv 1512.02325, 2.2)."""

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
    """Returns one scale per level from ``smallest`` to ``largest`` in equal steps, and 1.0 after the last."""
    if levels == 1:
        return [smallest, largest]
    return [smallest + (largest - smallest) * k / (levels - 1.0) for k in range(levels)] + [1.0]


class AnchorGenerator:
    """Generates anchors for maps of any size.

    Scales are relative to the shorter side of the image, so aspect ratios also hold for images that are not square.
    Width and height of an anchor are at most those of the image.

    Args:
        scales: one scale per level, and one more. Every level has a square of the geometric mean of its scale and the
            next.
        ratios: aspect ratios other than 1, as one sequence for all levels or one per level; the inverse of each is
            added.
        layout: "torchvision" has 2 + 2·len(ratios) boxes per cell on every map. "tensorflow" has three on the finest
            map: a square of half the scale, and the first ratio and its inverse at full scale.

    Raises:
        UserError: the numbers of scales and ratios do not match, or a value is not positive.
    """

    def __init__(
        self,
        scales: Sequence[float],
        ratios: Sequence[float] | Sequence[Sequence[float]],
        layout: Layout = "torchvision",
    ) -> None:
        if len(scales) < 2:
            raise UserError(f"anchor_scales must be at least two, one more than there are maps, not {list(scales)}.")
        levels = len(scales) - 1
        nested = [list(r) for r in ratios if isinstance(r, Sequence)]
        per_level = nested or [[r for r in ratios if not isinstance(r, Sequence)]] * levels
        if len(per_level) != levels:
            raise UserError(
                f"{len(scales)} anchor_scales are for {levels} maps, one fewer than scales, but aspect_ratios has "
                f"{len(per_level)} lists: give one list per map, or a single list for all."
            )
        if min(scales) <= 0 or min((r for level in per_level for r in level), default=1.0) <= 0:
            raise UserError(f"anchor_scales and aspect_ratios must be positive, not {list(scales)} and {per_level}.")
        self.scales, self.ratios = scales, ratios
        self.layout: Layout = layout
        self.shapes = [make_level_shapes(scales[k], scales[k + 1], per_level[k]) for k in range(levels)]
        if layout == "tensorflow":
            if not per_level[0]:
                raise UserError("The tensorflow layout needs an aspect ratio for the finest map.")
            half = scales[0] / 2
            self.shapes[0] = [(half, half), *self.shapes[0][2:4]]

    @property
    def per_cell(self) -> list[int]:
        """Number of anchors per cell for each level."""
        return [len(level) for level in self.shapes]

    def __call__(self, grids: Sequence[tuple[int, int]], image_size: tuple[int, int], like: Tensor) -> Tensor:
        """Returns anchors ``[A, 4]`` as x1, y1, x2, y2 in pixels, ordered by level, row and column.

        Args:
            grids: (rows, columns) of each map.
            image_size: (height, width) of the images in pixels.
            like: tensor whose device and type the anchors get; the type is at least float32.
        """
        # The order of operations and the intermediate float32 are torchvision's. All anchors of one size that contain
        # a small object completely have equal IoU, so the last bit decides which one is matched.
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


def make_level_shapes(scale: float, next_scale: float, ratios: Sequence[float]) -> list[Shape]:
    """Returns (width, height) of a level's boxes: two squares, then each ratio and its inverse."""
    between = math.sqrt(scale * next_scale)
    shapes = [(scale, scale), (between, between)]
    for ratio in ratios:
        long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        shapes += [(long, short), (short, long)]
    return shapes
