"""Encodes boxes as offsets from anchors, and back (Faster R-CNN's coder with SSD's variances)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

# a decoded box is at most 62.5 times its anchor, so that exp() cannot overflow in an untrained network
MAX_LOG_RATIO = math.log(1000.0 / 16)


class BoxCoder(NamedTuple):
    """Weights of the four offsets: centre x and y relative to the anchor's size, log of relative width and height."""

    x: float = 10.0
    y: float = 10.0
    width: float = 5.0
    height: float = 5.0

    def encode(self, boxes: Tensor, anchors: Tensor) -> Tensor:
        """Returns offsets ``[…, 4]`` of ``boxes`` from ``anchors``, both x1, y1, x2, y2 of positive size."""
        x, y, w, h = _to_centre_and_size(boxes)
        anchor_x, anchor_y, anchor_w, anchor_h = _to_centre_and_size(anchors)
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
        """Returns boxes ``[…, 4]`` as x1, y1, x2, y2 from ``offsets`` ``[…, 4]``."""
        anchor_x, anchor_y, anchor_w, anchor_h = _to_centre_and_size(anchors)
        dx, dy, dw, dh = offsets.unbind(-1)
        x = dx / self.x * anchor_w + anchor_x
        y = dy / self.y * anchor_h + anchor_y
        half_w = 0.5 * (torch.exp((dw / self.width).clamp(max=MAX_LOG_RATIO)) * anchor_w)
        half_h = 0.5 * (torch.exp((dh / self.height).clamp(max=MAX_LOG_RATIO)) * anchor_h)
        return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=-1)


def _to_centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h
