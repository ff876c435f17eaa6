"""Boxes as offsets from anchors, and back (the coder of Faster R-CNN with SSD's variances)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# a decoded box is at most 62.5 times its anchor: an untrained network must not overflow exp()
LARGEST_LOG_GROWTH = math.log(1000.0 / 16)


class BoxCoder(NamedTuple):
    """Scales of the four offsets: centre x and y in anchor sizes, log width and log height in anchor sizes."""

    x: float = 10.0
    y: float = 10.0
    width: float = 5.0
    height: float = 5.0

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Offsets ``[…, 4]`` that decode to ``boxes`` ``[…, 4]``; both as x1, y1, x2, y2 of positive size."""
        x, y, w, h = _centre_and_size(boxes)
        anchor_x, anchor_y, anchor_w, anchor_h = _centre_and_size(anchors)
        return torch.stack(
            (
                self.x * (x - anchor_x) / anchor_w,
                self.y * (y - anchor_y) / anchor_h,
                self.width * torch.log(w / anchor_w),
                self.height * torch.log(h / anchor_h),
            ),
            dim=-1,
        )

    def decode(self, offsets: Tensor, anchors: Tensor) -> Tensor:
        """Boxes ``[…, 4]`` as x1, y1, x2, y2 from ``offsets`` ``[…, 4]``."""
        anchor_x, anchor_y, anchor_w, anchor_h = _centre_and_size(anchors)
        dx, dy, dw, dh = offsets.unbind(-1)
        x = dx / self.x * anchor_w + anchor_x
        y = dy / self.y * anchor_h + anchor_y
        half_w = 0.5 * (torch.exp((dw / self.width).clamp(max=LARGEST_LOG_GROWTH)) * anchor_w)
        half_h = 0.5 * (torch.exp((dh / self.height).clamp(max=LARGEST_LOG_GROWTH)) * anchor_h)
        return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=-1)


def _centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h
