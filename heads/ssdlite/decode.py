"""From scores and boxes of every anchor to the detections of each image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from ..predictions import Detections


class PostprocessConfig(NamedTuple):
    """What is kept (the defaults are torchvision's for SSDLite).

    Attributes:
        score_thresh: least score of a detection.
        topk_candidates: most boxes of one class in one image that suppression looks at.
        nms_thresh: boxes of one class that overlap a better one by more than this IoU are dropped.
        detections_per_img: most boxes of an image.
    """

    score_thresh: float = 0.001
    topk_candidates: int = 300
    nms_thresh: float = 0.55
    detections_per_img: int = 300


def detect(scores: Tensor, boxes: Tensor, image_size: tuple[int, int], keep: PostprocessConfig) -> list[Detections]:
    """Detections of each image from ``scores`` ``[N, A, num_classes]`` and ``boxes`` ``[N, A, 4]`` in pixels."""
    boxes = clip_boxes_to_image(boxes, image_size)
    best, anchors = scores.transpose(1, 2).topk(
        min(keep.topk_candidates, scores.shape[1]), dim=2
    )  # [N, num_classes, k]
    found: list[Detections] = []
    for image_boxes, image_scores, image_anchors in zip(boxes, best, anchors, strict=True):
        labels, rank = (image_scores > keep.score_thresh).nonzero(as_tuple=True)
        kept_boxes = image_boxes[image_anchors[labels, rank]]
        kept_scores = image_scores[labels, rank]
        order = batched_nms(kept_boxes, kept_scores, labels, keep.nms_thresh)[: keep.detections_per_img]
        found.append(Detections(kept_boxes[order], kept_scores[order], labels[order]))
    return found
