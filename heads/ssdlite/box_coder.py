"""Encodes boxes as offsets from anchors, and back (Faster R-CNN's coder with SSD's variances)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# a decoded box is at most 62.5 times its anchor, so that exp() cannot overflow in an untrained network
MAX_LOG_RATIO = math.log(1000.0 / 16)
# SSD divides offsets by its variances 0.1 and 0.2
CENTRE_WEIGHT = 10.0
SIZE_WEIGHT = 5.0


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Returns offsets ``[…, 4]`` of ``boxes`` from ``anchors``, both x1, y1, x2, y2 of positive size.

    The first two are the distances of the centres in x and y relative to the anchor's size. The last two are the
    logarithms of the relative width and height. Each is multiplied by its weight.
    """
    x, y, w, h = _to_centre_and_size(boxes)
    anchor_x, anchor_y, anchor_w, anchor_h = _to_centre_and_size(anchors)
    dx = CENTRE_WEIGHT * (x - anchor_x) / anchor_w
    dy = CENTRE_WEIGHT * (y - anchor_y) / anchor_h
    dw, dh = SIZE_WEIGHT * torch.log(w / anchor_w), SIZE_WEIGHT * torch.log(h / anchor_h)
    return torch.stack((dx, dy, dw, dh), dim=-1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Returns boxes ``[…, 4]`` as x1, y1, x2, y2 from ``offsets`` ``[…, 4]``; inverts :func:`encode_boxes`."""
    anchor_x, anchor_y, anchor_w, anchor_h = _to_centre_and_size(anchors)
    dx, dy, dw, dh = offsets.unbind(-1)
    x = dx / CENTRE_WEIGHT * anchor_w + anchor_x
    y = dy / CENTRE_WEIGHT * anchor_h + anchor_y
    half_w = 0.5 * (torch.exp((dw / SIZE_WEIGHT).clamp(max=MAX_LOG_RATIO)) * anchor_w)
    half_h = 0.5 * (torch.exp((dh / SIZE_WEIGHT).clamp(max=MAX_LOG_RATIO)) * anchor_h)
    return torch.stack((x - half_w, y - half_h, x + half_w, y + half_h), dim=-1)


def _to_centre_and_size(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    w, h = x2 - x1, y2 - y1
    return x1 + 0.5 * w, y1 + 0.5 * h, w, h
