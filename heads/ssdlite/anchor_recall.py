"""Recall of anchors: how well they overlap objects, which limits what SSDLite can learn."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .matcher import box_iou, match_anchors


class AnchorRecall(NamedTuple):
    """Overlap of objects with anchors.

    Attributes:
        iou: ``[B]``, IoU of every object with its best anchor.
        positives: ``[B]`` int64, number of anchors matched to each object.
    """

    iou: Tensor
    positives: Tensor


def measure_anchor_recall(boxes: Tensor, owners: Tensor, anchors: Tensor, threshold: float) -> AnchorRecall:
    """Matches the objects of every image as training does.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input.
        owners: ``[B]`` int64, index of the image of every object; objects of an image are consecutive.
        anchors: ``[A, 4]``.
        threshold: minimum IoU of a match.
    """
    iou, positives = [boxes.new_zeros(0)], [owners.new_zeros(0)]
    for objects in boxes.split(owners.unique_consecutive(return_counts=True)[1].tolist()) if len(boxes) else ():
        batch = objects.unsqueeze(0)
        iou.append(box_iou(batch, anchors)[0].amax(1))
        matched = match_anchors(batch, batch.new_ones(1, len(objects), dtype=torch.bool), anchors, threshold)[0]
        positives.append(matched[matched >= 0].bincount(minlength=len(objects)))
    return AnchorRecall(torch.cat(iou), torch.cat(positives))
