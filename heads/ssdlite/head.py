"""SSDLite: SSD with depthwise separable convolutions (MobileNetV2, arXiv 1801.04381, section 6.2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ...backbones.blocks import ConvConfig, ConvNormAct
from ...backbones.contract import check_choice
from ...errors import UserError, check_range
from ..contract import ClassDimension, Features, Head, full_precision
from ..predictions import BoxTargets, Detections
from .anchors import AnchorGenerator, Layout, default_scales
from .box_coder import encode_boxes
from .decode import PostprocessConfig, select_detections
from .loss import FocalLoss, HardNegativeLoss, ssd_loss
from .matcher import match_anchors

MIN_EXTRA_CHANNELS = 16


class SSDLiteOutput(NamedTuple):
    """Output of the head for every anchor.

    Attributes:
        logits: ``[N, A, num_classes + 1]`` with background first for the softmax loss, ``[N, A, num_classes]`` for the
            focal loss.
        offsets: ``[N, A, 4]`` as the box coder encodes them.
        anchors: ``[A, 4]`` as x1, y1, x2, y2 in pixels of the input.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class SSDLite(Head):
    """Predicts boxes and classes on the backbone's maps and on extra maps, each half the size of the previous.

    The papers use the maps c4_expansion and final of MobileNetV2 and V3.

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
        loss: "softmax" cross-entropy with hard negatives, or "focal" loss.
        neg_pos_ratio: number of hard negatives per positive; used by "softmax".
        alpha: weight of positives; used by "focal".
        gamma: focusing exponent, e.g. 2; used by "focal".
        score_thresh: minimum score of a detection; raise it to return fewer.
        topk_candidates: maximum number of boxes per class and image before non-maximum suppression.
        nms_thresh: IoU above which the lower-scored of two boxes of one class is suppressed.
        detections_per_img: maximum number of detections per image.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: the maps are not finest first, or another argument is invalid.
    """

    role = "detection"
    shape_arguments = ("layout", "extras", "aspect_ratios")

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
        loss: Literal["softmax", "focal"] = "softmax",
        neg_pos_ratio: float = 3.0,
        alpha: float = 0.75,
        gamma: float = 2.0,
        score_thresh: float = 0.001,
        topk_candidates: int = 300,
        nms_thresh: float = 0.55,
        detections_per_img: int = 300,
        norm_eps: float = 1e-3,
        norm_momentum: float = 0.03,
    ) -> None:
        super().__init__()
        check_pyramid(features)
        check_range("SSDLite's num_classes", num_classes, ge=1)
        check_choice("SSDLite's layout", layout, ("torchvision", "tensorflow"))
        check_choice("SSDLite's loss", loss, ("softmax", "focal"))
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.maps = tuple(features)
        self.iou_thresh = iou_thresh
        check_range("SSDLite's iou_thresh", iou_thresh, ge=0, le=1)
        self.postprocess = PostprocessConfig(score_thresh, topk_candidates, nms_thresh, detections_per_img)
        self.postprocess.check()
        self.classification = HardNegativeLoss(neg_pos_ratio) if loss == "softmax" else FocalLoss(alpha, gamma)
        channels = [feature.channels for feature in features.values()]
        self.extras = nn.ModuleList()
        for extra in extras:
            out_channels = max(MIN_EXTRA_CHANNELS, int(extra * features.width))
            self.extras.append(build_extra_block(channels[-1], out_channels, config))
            channels.append(out_channels)
        scales = default_scales(len(channels)) if anchor_scales is None else anchor_scales
        self.anchors = AnchorGenerator(scales, aspect_ratios, layout)
        per_cell = self.anchors.per_cell
        if len(per_cell) != len(channels):
            raise UserError(
                f"{len(channels)} maps need {len(channels) + 1} anchor_scales, not {len(per_cell) + 1}; change "
                "these or feature_maps=[…]."
            )
        self.outputs = self.classification.outputs(num_classes)
        self.classifiers, self.regressors = (
            nn.ModuleList(PredictionBlock(c, n * values, config) for c, n in zip(channels, per_cell, strict=True))
            for values in (self.outputs, 4)
        )
        self._init_weights()

    def _init_weights(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.03)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        for name, bias in self.classifiers.named_parameters():
            if name.endswith("project.bias"):
                nn.init.constant_(bias, self.classification.prior_bias)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> SSDLiteOutput:
        levels = self.pyramid(maps)
        logits = predict(self.classifiers, levels, self.outputs)
        offsets = predict(self.regressors, levels, 4)
        grids = [(x.shape[2], x.shape[3]) for x in levels]
        anchors = self.anchors(grids, image_size, like=levels[0])
        return SSDLiteOutput(logits, offsets, anchors)

    def pyramid(self, maps: dict[str, Tensor]) -> list[Tensor]:
        """Returns the maps that have anchors, finest first: the backbone's and the extra ones."""
        levels = [maps[name] for name in self.maps]
        for extra in self.extras:
            levels.append(run_extra_block(extra, levels[-1]))
        return levels

    def loss(self, output: SSDLiteOutput, targets: BoxTargets) -> dict[str, Tensor]:
        check_output(output, self.outputs)
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
        return ssd_loss(logits, offsets, classes, target_offsets, self.classification)

    def decode(self, output: SSDLiteOutput, image_size: tuple[int, int]) -> list[Detections]:
        check_output(output, self.outputs)
        scores = self.classification.scores(full_precision(output.logits))
        return select_detections(scores, full_precision(output.offsets), output.anchors, image_size, self.postprocess)

    def class_dimensions(self) -> dict[str, ClassDimension]:
        background = self.classification.outputs(0)
        return {
            f"classifiers.{level}.project.{leaf}": ClassDimension(anchors, background)
            for level, anchors in enumerate(self.anchors.per_cell)
            for leaf in ("weight", "bias")
        }


def check_output(output: SSDLiteOutput, outputs: int) -> None:
    """Raises UserError if the numbers of anchors and predictions, or of logits per anchor, differ."""
    logits, offsets, anchors = output
    if not logits.shape[1] == offsets.shape[1] == len(anchors):
        raise UserError(
            f"SSDLite has {len(anchors)} anchors for {logits.shape[1]} scores and {offsets.shape[1]} boxes; its "
            "layout, anchor_scales and aspect_ratios must fit its maps."
        )
    if logits.shape[2] != outputs:
        raise UserError(
            f"SSDLite needs {outputs} logits per anchor, not {logits.shape[2]}; load weights of its classes."
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


def build_extra_block(in_channels: int, out_channels: int, config: ConvConfig) -> nn.Sequential:
    """Builds the layers of an extra map: 1×1 to half the channels, depthwise 3×3 of stride 2, 1×1."""
    half = out_channels // 2
    return nn.Sequential(
        ConvNormAct(in_channels, half, act="relu6", config=config),
        ConvNormAct(half, half, 3, 2, groups=half, act="relu6", config=config),
        ConvNormAct(half, out_channels, act="relu6", config=config),
    )


def run_extra_block(block: nn.Module, x: Tensor) -> Tensor:
    """Runs an extra block; on a CPU always in float32.

    With PyTorch 2.15 on a CPU, the bfloat16 gradient of a strided depthwise convolution can contain undefined values if
    the map has one column and is channels-last. Such small maps cost nothing in float32.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return block(x.float())
    return block(x)


class PredictionBlock(nn.Module):
    """Depthwise 3×3, then a 1×1 with bias to the ``outputs`` of all anchors of a cell."""

    def __init__(self, channels: int, outputs: int, config: ConvConfig) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(channels, channels, 3, groups=channels, act="relu6", config=config)
        self.project = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(x))


def predict(blocks: nn.ModuleList, levels: list[Tensor], values: int) -> Tensor:
    """Runs one of the ``blocks`` on each map, and returns the predictions of all anchors, ``[N, A, values]``."""
    outputs = [block(x).permute(0, 2, 3, 1) for block, x in zip(blocks, levels, strict=True)]
    # not len(x), which is a plain number: an exported network would only take the example's batch size
    return torch.cat([x.reshape(x.shape[0], -1, values) for x in outputs], dim=1)
