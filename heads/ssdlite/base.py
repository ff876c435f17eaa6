"""SSD's method, whatever layers predict: anchors on a pyramid of maps, matching, losses and decoding."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from ...backbones.contract import check_choice
from ...errors import UserError, check_range
from ..contract import Features, Head, full_precision
from ..predictions import BoxTargets, Detections
from .anchors import AnchorGenerator, Layout, default_scales
from .box_coder import decode_boxes, encode_boxes
from .decode import PostprocessConfig, select_detections
from .layers import run_extra_block
from .loss import ClassificationLoss, FocalLoss, LossName, SigmoidLoss, SoftmaxLoss, ssd_loss
from .matcher import match_anchors

MIN_EXTRA_CHANNELS = 16


class SSDOutput(NamedTuple):
    """Output of the head for every anchor.

    Attributes:
        logits: ``[N, A, num_classes + 1]``, background first.
        offsets: ``[N, A, 4]`` as the box coder encodes them.
        anchors: ``[A, 4]`` as x1, y1, x2, y2 in pixels of the input.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class SSDHead(Head):
    """Base class of SSD's heads: they predict boxes and classes on the backbone's maps and on coarser extra maps.

    A subclass builds ``extras``, one block for each extra map, and the layers of :meth:`predict`.

    Args:
        features: the maps, finest first. Their width multiplier also scales the extra maps.
        num_classes: number of foreground classes.
        layout: "torchvision" has 2 + 2·len(aspect_ratios) anchors per cell on every map; "tensorflow" has three on the
            finest map.
        extras: channels of the extra maps, e.g. [512, 256, 256, 128]; multiplied by the width, but at least 16.
        anchor_scales: anchor sizes relative to the shorter side, one per map and one more, e.g. [0.2, 0.5, 1.0] for two
            maps. None is 0.2 to 0.95 in equal steps, and 1. Use smaller ones for small objects.
        aspect_ratios: aspect ratios other than 1, e.g. [2, 3] for all maps or [[2], [2, 3]] with one list per map.
        iou_thresh: minimum IoU of an anchor with the object it is matched to, e.g. 0.5.
        loss: "softmax" cross-entropy with hard negatives; "sigmoid" cross-entropy with hard negatives, as TensorFlow
            trains MobileNetV1 and V2; or "focal" loss, as it trains MobileNetV3.
        neg_pos_ratio: number of hard negatives per positive; used by "softmax" and "sigmoid".
        min_negatives: minimum number of hard negatives of an image, e.g. TensorFlow's 3; used like ``neg_pos_ratio``.
        alpha: weight of positives; used by "focal".
        gamma: focusing exponent, e.g. 2; used by "focal".
        box_loss_weight: factor of the box loss; 0.25 divides by the four coordinates, as TensorFlow does for
            MobileNetV3.
        score_thresh: minimum score of a detection; raise it to return fewer.
        topk_candidates: maximum number of boxes per class and image before non-maximum suppression.
        nms_thresh: IoU above which the lower-scored of two boxes of one class is suppressed.
        detections_per_img: maximum number of detections per image.

    Attributes:
        channels: of every map that has anchors, finest first: the backbone's and the extra ones.
        outputs: number of logits of an anchor.

    Raises:
        UserError: the maps are not finest first, or another argument is invalid.
    """

    role = "detection"
    shape_arguments = ("layout", "extras", "aspect_ratios")
    class_arguments = ("loss",)

    extras: nn.ModuleList

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        layout: Layout = "torchvision",
        extras: Sequence[int] = (512, 256, 256, 128),
        anchor_scales: Sequence[float] | None = None,
        aspect_ratios: Sequence[float] | Sequence[Sequence[float]] = (2.0, 3.0),
        iou_thresh: float = 0.5,
        loss: LossName = "softmax",
        neg_pos_ratio: float = 3.0,
        min_negatives: int = 0,
        alpha: float = 0.75,
        gamma: float = 2.0,
        box_loss_weight: float = 1.0,
        score_thresh: float = 0.001,
        topk_candidates: int = 300,
        nms_thresh: float = 0.55,
        detections_per_img: int = 300,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        check_pyramid(features)
        check_range(f"{name}'s num_classes", num_classes, ge=1)
        check_choice(f"{name}'s layout", layout, ("torchvision", "tensorflow"))
        check_range(f"{name}'s neg_pos_ratio", neg_pos_ratio, ge=0, lt=math.inf)
        check_range(f"{name}'s min_negatives", min_negatives, ge=0)
        check_range(f"{name}'s alpha", alpha, ge=0, le=1)
        check_range(f"{name}'s gamma", gamma, ge=0, lt=math.inf)
        check_range(f"{name}'s box_loss_weight", box_loss_weight, gt=0, lt=math.inf)
        losses: dict[str, ClassificationLoss] = {
            "softmax": SoftmaxLoss(neg_pos_ratio, min_negatives),
            "sigmoid": SigmoidLoss(neg_pos_ratio, min_negatives),
            "focal": FocalLoss(alpha, gamma),
        }
        check_choice(f"{name}'s loss", loss, losses)
        self.classification = losses[loss]
        self.box_loss_weight = box_loss_weight
        self.iou_thresh = iou_thresh
        check_range(f"{name}'s iou_thresh", iou_thresh, ge=0, le=1)
        self.postprocess = PostprocessConfig(score_thresh, topk_candidates, nms_thresh, detections_per_img)
        self.postprocess.check()
        for extra in extras:
            check_range(f"{name}'s extras", extra, ge=1)
        self.maps = tuple(features)
        self.channels = [feature.channels for feature in features.values()]
        self.channels += [max(MIN_EXTRA_CHANNELS, int(extra * features.width)) for extra in extras]
        self.outputs = num_classes + 1
        scales = self.default_scales(len(self.channels)) if anchor_scales is None else anchor_scales
        self.anchors = AnchorGenerator(scales, aspect_ratios, layout)
        if len(self.anchors.per_cell) != len(self.channels):
            raise UserError(
                f"{len(self.channels)} maps need {len(self.channels) + 1} anchor_scales, not "
                f"{len(self.anchors.per_cell) + 1}; change these or feature_maps=[…]."
            )

    @staticmethod
    def default_scales(levels: int) -> list[float]:
        """Returns the anchor scales of ``levels`` maps that ``anchor_scales=None`` stands for."""
        return default_scales(levels)

    @abstractmethod
    def predict(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps that have anchors → logits ``[N, A, num_classes + 1]`` and offsets ``[N, A, 4]``."""

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> SSDOutput:
        levels = self.pyramid(maps)
        logits, offsets = self.predict(levels)
        grids = [(x.shape[2], x.shape[3]) for x in levels]
        return SSDOutput(logits, offsets, self.anchors(grids, image_size, like=levels[0]))

    def pyramid(self, maps: dict[str, Tensor]) -> list[Tensor]:
        """Returns the maps that have anchors, finest first: the backbone's and the extra ones."""
        levels = [maps[name] for name in self.maps]
        for extra in self.extras:
            levels.append(run_extra_block(extra, levels[-1]))
        return levels

    def loss(self, output: SSDOutput, targets: BoxTargets) -> dict[str, Tensor]:
        self._check_output(output)
        logits, offsets, anchors = full_precision(output.logits), full_precision(output.offsets), output.anchors
        boxes, labels = targets
        if boxes.shape[1] == 0:  # matching needs at least one row
            boxes, labels = boxes.new_zeros(len(boxes), 1, 4), labels.new_full((len(boxes), 1), -1)
        matched = match_anchors(boxes, labels >= 0, anchors, self.iou_thresh)
        row = matched.clamp(min=0)
        positive = matched >= 0
        classes = torch.where(positive, labels.gather(1, row) + 1, 0)
        # a background anchor's target is itself, so that no logarithm sees a padded box
        objects = boxes.to(anchors.dtype).gather(1, row.unsqueeze(-1).expand(-1, -1, 4))
        target_offsets = encode_boxes(torch.where(positive.unsqueeze(-1), objects, anchors), anchors)
        return ssd_loss(logits, offsets, classes, target_offsets, self.classification, self.box_loss_weight)

    def decode(self, output: SSDOutput, image_size: tuple[int, int]) -> list[Detections]:
        self._check_output(output)
        return select_detections(
            full_precision(output.logits),
            full_precision(output.offsets),
            output.anchors,
            image_size,
            self.postprocess,
            self.classification,
            is_rounded=output.logits.dtype in (torch.float16, torch.bfloat16),
        )

    def exported_outputs(self, output: SSDOutput, image_size: tuple[int, int]) -> dict[str, Tensor]:
        """Returns "boxes" ``[N, A, 4]`` in pixels of the input, clipped to it, and "scores" ``[N, A, num_classes]``."""
        boxes = decode_boxes(full_precision(output.offsets), output.anchors)
        scores = self.classification.scores(full_precision(output.logits))
        return {"boxes": clip_boxes_to_image(boxes, image_size), "scores": scores}

    def _check_output(self, output: SSDOutput) -> None:
        """Raises UserError if the numbers of anchors and predictions, or of logits per anchor, differ."""
        logits, offsets, anchors = output
        if not logits.shape[1] == offsets.shape[1] == len(anchors):
            raise UserError(
                f"{type(self).__name__} has {len(anchors)} anchors for {logits.shape[1]} scores and {offsets.shape[1]} "
                "boxes; its layout, anchor_scales and aspect_ratios must fit its maps."
            )
        if logits.shape[2] != self.outputs:
            raise UserError(
                f"{type(self).__name__} needs {self.outputs} logits per anchor, not {logits.shape[2]}; load weights of "
                "its classes."
            )


def check_pyramid(features: Features) -> None:
    """Raises UserError if ``features`` is empty, or a map is not coarser than the one before."""
    strides = [feature.stride for feature in features.values()]
    if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
        named = ", ".join(f"{name} (stride {f.stride})" for name, f in features.items()) or "none"
        raise UserError(
            f"SSDLite needs maps of increasing stride, but got {named}; choose others with feature_maps=[…], or a "
            "larger output_stride."
        )
