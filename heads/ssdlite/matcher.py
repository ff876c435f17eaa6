"""Matches anchors to objects for a whole batch at once (SSD section 2.2, matching strategy)."""

from __future__ import annotations

import torch
from torch import Tensor


def box_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Returns the IoU ``[N, M, A]`` of ``boxes`` ``[N, M, 4]`` with ``anchors`` ``[A, 4]``."""
    x1, y1, x2, y2 = boxes.unsqueeze(2).unbind(-1)
    anchor_x1, anchor_y1, anchor_x2, anchor_y2 = anchors.unbind(-1)
    width = (torch.minimum(x2, anchor_x2) - torch.maximum(x1, anchor_x1)).clamp(min=0)
    height = (torch.minimum(y2, anchor_y2) - torch.maximum(y1, anchor_y1)).clamp(min=0)
    intersection = width * height
    area = (x2 - x1) * (y2 - y1)
    anchor_area = (anchor_x2 - anchor_x1) * (anchor_y2 - anchor_y1)
    return intersection / (area + anchor_area - intersection)


def match_anchors(boxes: Tensor, valid: Tensor, anchors: Tensor, threshold: float) -> Tensor:
    """Matches anchors to the object of highest IoU, if at least ``threshold``, and every object to its best anchor.

    Args:
        boxes: ``[N, M, 4]`` as x1, y1, x2, y2, M at least 1.
        valid: ``[N, M]``, False for padding.
        anchors: ``[A, 4]``.
        threshold: minimum IoU of a match; an object's best anchor is matched even below it.

    Returns:
        ``[N, A]``, for each anchor the index of its object in ``boxes``, −1 for background. If one anchor is the best
        for several objects, the last of them gets it.
    """
    iou = box_iou(boxes, anchors).masked_fill(~valid.unsqueeze(2), -1.0)
    overlap, nearest = iou.max(dim=1)
    matched = nearest.masked_fill(overlap < threshold, -1)
    rows = torch.arange(boxes.shape[1], device=boxes.device).expand_as(valid).masked_fill(~valid, -1)
    forced = torch.full_like(matched, -1).scatter_reduce(1, iou.argmax(dim=2), rows, "amax")
    return torch.where(forced >= 0, forced, matched)
