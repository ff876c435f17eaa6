"""How well anchors reach objects: what decides which objects SSDLite can be taught at all."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .matcher import box_iou, match


class Reach(NamedTuple):
    """What anchors make of objects.

    Attributes:
        iou: ``[B]``, of every object with the anchor that overlaps it most.
        positives: ``[B]`` int64, how many anchors the matcher makes answer for it.
    """

    iou: Tensor
    positives: Tensor


def reach(boxes: Tensor, owners: Tensor, anchors: Tensor, threshold: float) -> Reach:
    """Matches the objects of every image as training does.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input.
        owners: ``[B]`` int64, the image of every object; an image's objects follow one another.
        anchors: ``[A, 4]``.
        threshold: least IoU of a match.
    """
    iou, positives = [boxes.new_zeros(0)], [owners.new_zeros(0)]
    for objects in boxes.split(owners.unique_consecutive(return_counts=True)[1].tolist()) if len(boxes) else ():
        batch = objects.unsqueeze(0)
        iou.append(box_iou(batch, anchors)[0].amax(1))
        matched = match(batch, batch.new_ones(1, len(objects), dtype=torch.bool), anchors, threshold)[0]
        positives.append(matched[matched >= 0].bincount(minlength=len(objects)))
    return Reach(torch.cat(iou), torch.cat(positives))
