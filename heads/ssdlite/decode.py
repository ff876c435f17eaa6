"""Turns scores and boxes of every anchor into the detections of each image."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import clip_boxes_to_image, nms

from ...errors import PredictionError
from ..predictions import Detections

# torchvision suppresses up to this number of boxes of an image with shifts in float32, and more of them class by class
FEW_CANDIDATES = 1000


class PostprocessConfig(NamedTuple):
    """Thresholds and limits of postprocessing; the defaults are torchvision's for SSDLite.

    Attributes:
        score_thresh: minimum score of a detection.
        topk_candidates: maximum number of boxes per class and image before non-maximum suppression.
        nms_thresh: IoU above which the lower-scored of two boxes of one class is suppressed.
        detections_per_img: maximum number of detections per image.
    """

    score_thresh: float = 0.001
    topk_candidates: int = 300
    nms_thresh: float = 0.55
    detections_per_img: int = 300


def select_detections(
    scores: Tensor, boxes: Tensor, image_size: tuple[int, int], config: PostprocessConfig
) -> list[Detections]:
    """Selects the detections of each image; they are those of torchvision's SSD.

    Detections are sorted by score, equal scores by class, and those of one class by anchor.

    Args:
        scores: ``[N, A, num_classes]``.
        boxes: ``[N, A, 4]`` as x1, y1, x2, y2 in pixels.
        image_size: (height, width) in pixels, to which boxes are clipped.
        config: thresholds and limits.

    Raises:
        PredictionError: a score or a box is NaN.
    """
    best = scores.amax(2)  # NaN if one of the scores is
    is_nan = torch.stack([best.isnan().any(), boxes.isnan().any()]).tolist()
    for name in itertools.compress(("scores", "boxes"), is_nan):
        raise PredictionError(f"The network's {name} are NaN; lower the learning rate, or load other weights.")
    boxes = clip_boxes_to_image(boxes, image_size)
    return [select_from_image(*image, config) for image in zip(scores, best, boxes, strict=True)]


def select_from_image(scores: Tensor, best: Tensor, boxes: Tensor, config: PostprocessConfig) -> Detections:
    """Selects the detections of one image from its best candidates if they suffice, else from twice as many, or all.

    Whether a box is kept depends only on boxes of higher scores. So what is kept of the best candidates is the
    beginning of what is kept of all.

    Args:
        scores: ``[A, num_classes]``.
        best: ``[A]``, the highest score of each anchor.
        boxes: ``[A, 4]``, inside the image.
        config: thresholds and limits.
    """
    anchors = FEW_CANDIDATES + 1
    while True:
        floor = config.score_thresh
        if anchors < len(best):
            floor = max(floor, best.topk(anchors + 1).values[-1].item())
        is_complete = floor == config.score_thresh
        candidates = find_candidates(scores, best, boxes, floor, config.topk_candidates)
        if is_complete or len(candidates.scores) > FEW_CANDIDATES:
            kept = suppress(candidates, config)
            if is_complete or len(kept) == config.detections_per_img:
                return Detections(*(values[kept] for values in candidates))
        anchors *= 2


def find_candidates(scores: Tensor, best: Tensor, boxes: Tensor, floor: float, most_per_class: int) -> Detections:
    """Returns the boxes with a score above ``floor``, sorted, of each class at most ``most_per_class``."""
    anchors = (best > floor).nonzero().squeeze(1)
    by_class = scores[anchors].t().contiguous()
    labels, columns = (by_class > floor).nonzero(as_tuple=True)
    values, order = by_class[labels, columns].sort(descending=True, stable=True)
    labels, anchors = labels[order], anchors[columns[order]]
    if len(labels) > most_per_class:
        allowed = rank_in_class(labels) < most_per_class
        values, labels, anchors = values[allowed], labels[allowed], anchors[allowed]
    return Detections(boxes[anchors], values, labels)


def rank_in_class(labels: Tensor) -> Tensor:
    """Returns the number of equal labels before each one."""
    by_class, order = labels.sort(stable=True)
    rank = torch.arange(len(labels), device=labels.device) - torch.searchsorted(by_class, by_class)
    return torch.empty_like(rank).scatter_(0, order, rank)


def suppress(candidates: Detections, config: PostprocessConfig) -> Tensor:
    """Returns the indices of the first ``detections_per_img`` boxes that no better box of their class suppresses.

    Classes are shifted so that their boxes do not overlap. torchvision does so in float32, which rounds to up to
    1/512 pixel, unless there are many boxes. This function rounds the same boxes, and shifts many boxes in float64.

    Args:
        candidates: sorted by score; all of an image or more than ``FEW_CANDIDATES``.
        config: thresholds and limits.
    """
    boxes, scores, labels = candidates
    if len(boxes) == 0:
        return labels
    if len(boxes) > FEW_CANDIDATES:
        boxes = boxes.double()
    shifted = boxes + (labels + 1).to(boxes).unsqueeze(1) * (boxes.max() + 1)
    scores = scores.to(boxes)
    count = 3 * config.detections_per_img // 2
    while True:
        kept = nms(shifted[:count], scores[:count], config.nms_thresh)[: config.detections_per_img]
        if count >= len(boxes) or len(kept) == config.detections_per_img:
            return kept
        count *= 2
