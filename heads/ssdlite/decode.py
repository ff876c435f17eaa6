"""Turns scores and boxes of every anchor into the detections of each image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from ..predictions import Detections


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
    """Selects the detections of each image.

    Args:
        scores: ``[N, A, num_classes]``.
        boxes: ``[N, A, 4]`` as x1, y1, x2, y2 in pixels.
        image_size: (height, width) in pixels, to which boxes are clipped.
        config: thresholds and limits.
    """
    boxes = clip_boxes_to_image(boxes, image_size)
    candidates = min(config.topk_candidates, scores.shape[1])
    best, anchors = scores.transpose(1, 2).topk(candidates, dim=2)  # [N, num_classes, candidates]
    detections: list[Detections] = []
    for image_boxes, image_scores, image_anchors in zip(boxes, best, anchors, strict=True):
        # a NaN is not dropped, so that the evaluation can name its image
        labels, rank = (~(image_scores <= config.score_thresh)).nonzero(as_tuple=True)
        candidate_boxes = image_boxes[image_anchors[labels, rank]]
        candidate_scores = image_scores[labels, rank]
        order = batched_nms(candidate_boxes, candidate_scores, labels, config.nms_thresh)[: config.detections_per_img]
        detections.append(Detections(candidate_boxes[order], candidate_scores[order], labels[order]))
    return detections
