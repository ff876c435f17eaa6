"""SSDLite: SSD whose 3×3 convolutions are depthwise-separable (MobileNetV2, arXiv 1801.04381, section 6.2)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ...backbones.blocks import ConvConfig, ConvNormAct
from ...errors import UserError
from ..contract import ClassDimension, Features, Head, full_precision
from ..predictions import BoxTargets, Detections
from .anchors import AnchorGenerator, Layout, default_scales
from .box_coder import BoxCoder
from .decode import PostprocessConfig, detect
from .loss import ClassificationLoss, FocalLoss, HardNegativeLoss, ssd_loss
from .matcher import match

SMALLEST_EXTRA = 16


class SSDLiteOutput(NamedTuple):
    """What the head says about every anchor.

    Attributes:
        logits: ``[N, A, num_classes + 1]`` with background first for the softmax loss, ``[N, A, num_classes]`` for the
            focal loss.
        offsets: ``[N, A, 4]`` in the box coder's units.
        anchors: ``[A, 4]`` as x1, y1, x2, y2 in pixels of the input.
    """

    logits: Tensor
    offsets: Tensor
    anchors: Tensor


class SSDLite(Head):
    """Predicts boxes and classes on the backbone's maps and on extra maps, each half the size of the one before.

    Args:
        features: the maps on offer, finest first; extra maps have ``max(16, ⌊channels·width⌋)`` channels; published on the widened map at stride 16 and the last convolution.
        num_classes: foreground classes.
        layout: "torchvision" has six anchors a cell everywhere (with ratios 2 and 3); "tensorflow" has three on the
            finest map.
        extras: channels of the extra maps.
        anchor_scales: of the anchors as shares of the shorter side, one a map and one more; None is .2 to .95 in equal steps,
            and 1.
        aspect_ratios: aspect ratios beside 1 for all maps, or a list of them a map.
        iou_thresh: least IoU of an anchor with the object it answers for.
        loss: "softmax" with hard negatives, or "focal".
        neg_pos_ratio: hard negatives for each positive, with "softmax".
        alpha: weight of positives, with "focal".
        gamma: focusing exponent, with "focal".
        score_thresh: least score of a detection.
        topk_candidates: most boxes a class and image that suppression looks at.
        nms_thresh: IoU above which the lesser of two boxes of one class is dropped.
        detections_per_img: most detections an image.
        norm_eps: epsilon of the batch norms.
        norm_momentum: momentum of the batch norms.

    Raises:
        ValueError: the maps do not fall in resolution, or scales, ratios, ``layout`` or ``loss`` do not fit.
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
        if num_classes < 1:
            raise UserError(f"SSDLite needs at least one foreground class, not {num_classes}.")
        if layout not in ("torchvision", "tensorflow"):
            raise UserError(f"There is no SSDLite layout {layout!r}: choose torchvision or tensorflow.")
        if loss not in ("softmax", "focal"):
            raise UserError(f"There is no SSDLite loss {loss!r}: choose softmax or focal.")
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.maps = tuple(features)
        self.iou_thresh = iou_thresh
        self.coder = BoxCoder()
        self.keep = PostprocessConfig(score_thresh, topk_candidates, nms_thresh, detections_per_img)
        self.classification: ClassificationLoss = (
            HardNegativeLoss(neg_pos_ratio) if loss == "softmax" else FocalLoss(alpha, gamma)
        )
        channels = [feature.channels for feature in features.values()]
        self.extras = nn.ModuleList()
        for extra in extras:
            extra = max(SMALLEST_EXTRA, int(extra * features.width))
            self.extras.append(extra_block(channels[-1], extra, config))
            channels.append(extra)
        self.anchors = AnchorGenerator(
            default_scales(len(channels)) if anchor_scales is None else anchor_scales, aspect_ratios, layout
        )
        per_cell = self.anchors.per_cell
        if len(per_cell) != len(channels):
            raise UserError(
                f"{len(channels)} maps need {len(channels) + 1} scales, not {len(per_cell) + 1}: give the head other "
                "scales, or other feature_maps=[…]."
            )
        self.outputs = self.classification.outputs(num_classes)
        self.classifiers = nn.ModuleList(
            PredictionBlock(c, n * self.outputs, config) for c, n in zip(channels, per_cell, strict=True)
        )
        self.regressors = nn.ModuleList(
            PredictionBlock(c, n * 4, config) for c, n in zip(channels, per_cell, strict=True)
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
        logits = [flatten(block(x), self.outputs) for block, x in zip(self.classifiers, levels, strict=True)]
        offsets = [flatten(block(x), 4) for block, x in zip(self.regressors, levels, strict=True)]
        grids = [(x.shape[2], x.shape[3]) for x in levels]
        anchors = self.anchors(grids, image_size, like=levels[0])
        return SSDLiteOutput(torch.cat(logits, dim=1), torch.cat(offsets, dim=1), anchors)

    def pyramid(self, maps: dict[str, Tensor]) -> list[Tensor]:
        """The maps that anchors are laid on, finest first: those that the backbone gives, and the extra ones."""
        levels = [maps[name] for name in self.maps]
        for extra in self.extras:
            levels.append(run_extra(extra, levels[-1]))
        return levels

    def loss(self, output: SSDLiteOutput, targets: BoxTargets) -> dict[str, Tensor]:
        logits, offsets, anchors = full_precision(output.logits), full_precision(output.offsets), output.anchors
        boxes, labels = targets
        if boxes.shape[1] == 0:  # not one object in the batch: matching wants at least one row
            boxes, labels = boxes.new_zeros(len(boxes), 1, 4), labels.new_full((len(boxes), 1), -1)
        matched = match(boxes, labels >= 0, anchors, self.iou_thresh)
        row = matched.clamp(min=0)
        positive = matched >= 0
        classes = torch.where(positive, labels.gather(1, row) + 1, 0)
        # background anchors stand for themselves, so that no logarithm sees a padded box
        objects = boxes.to(anchors.dtype).gather(1, row.unsqueeze(-1).expand(-1, -1, 4))
        wanted = self.coder.encode(torch.where(positive.unsqueeze(-1), objects, anchors), anchors)
        return ssd_loss(logits, offsets, classes, wanted, self.classification)._asdict()

    def decode(self, output: SSDLiteOutput, image_size: tuple[int, int]) -> list[Detections]:
        boxes = self.coder.decode(full_precision(output.offsets), output.anchors)
        scores = self.classification.scores(full_precision(output.logits))
        return detect(scores, boxes, image_size, self.keep)

    def class_dimensions(self) -> dict[str, ClassDimension]:
        background = self.classification.outputs(0)
        return {
            f"classifiers.{level}.project.{leaf}": ClassDimension(anchors, background)
            for level, anchors in enumerate(self.anchors.per_cell)
            for leaf in ("weight", "bias")
        }


def check_pyramid(features: Features) -> None:
    """Raises ValueError unless there are maps and each is coarser than the one before."""
    strides = [feature.stride for feature in features.values()]
    if not strides or any(a >= b for a, b in itertools.pairwise(strides)):
        named = ", ".join(f"{name} (stride {f.stride})" for name, f in features.items()) or "none"
        raise UserError(
            f"SSDLite needs maps of falling resolution, finest first, but was given {named}: choose others with "
            "feature_maps=[…], or a larger output_stride."
        )


def extra_block(in_channels: int, out_channels: int, config: ConvConfig) -> nn.Sequential:
    """A map of half the size: 1×1 to half the channels, depthwise 3×3 of stride 2, 1×1."""
    half = out_channels // 2
    return nn.Sequential(
        ConvNormAct(in_channels, half, act="relu6", config=config),
        ConvNormAct(half, half, 3, 2, groups=half, act="relu6", config=config),
        ConvNormAct(half, out_channels, act="relu6", config=config),
    )


def run_extra(block: nn.Module, x: Tensor) -> Tensor:
    """Runs an extra block, on a CPU always in float32.

    There the bfloat16 gradient of a strided depthwise convolution may hold undefined values where the map has a single
    column and lies channels last (seen with PyTorch 2.15); maps so small cost nothing.
    """
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return block(x.float())
    return block(x)


class PredictionBlock(nn.Module):
    """Depthwise 3×3, then a biased 1×1 to the ``outputs`` of all anchors of a cell."""

    def __init__(self, channels: int, outputs: int, config: ConvConfig) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(channels, channels, 3, groups=channels, act="relu6", config=config)
        self.project = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.depthwise(x))


def flatten(x: Tensor, values: int) -> Tensor:
    """``[N, anchors·values, H, W]`` → ``[N, H·W·anchors, values]``; a view where memory is channels-last."""
    # not len(x): a length is a plain number, and an exported network would take batches of the example's size alone
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)
