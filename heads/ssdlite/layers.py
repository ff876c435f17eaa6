"""SSDLite's layers: blocks of the extra maps, and predictors of logits and offsets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...backbones.blocks import ConvConfig, ConvNormAct


def build_bottleneck_extra(in_channels: int, out_channels: int, config: ConvConfig) -> nn.Sequential:
    """Builds an extra map's block: 1×1 to half the channels, depthwise 3×3 of stride 2, 1×1."""
    half = out_channels // 2
    return nn.Sequential(
        ConvNormAct(in_channels, half, act="relu6", config=config),
        ConvNormAct(half, half, 3, 2, groups=half, act="relu6", config=config),
        ConvNormAct(half, out_channels, act="relu6", config=config),
    )


def build_separable_extra(in_channels: int, out_channels: int, config: ConvConfig) -> nn.Sequential:
    """Builds an extra map's block as MobileViT's detector has it: linear depthwise 3×3 of stride 2, 1×1 with ReLU."""
    return nn.Sequential(
        ConvNormAct.depthwise(in_channels, 3, 2, 1, None, config),
        ConvNormAct(in_channels, out_channels, act="relu", config=config),
    )


def build_pooled_extra(in_channels: int, out_channels: int) -> nn.Sequential:
    """Builds the block of an extra map of one cell: global average pool, 1×1, ReLU."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels, out_channels, 1, bias=False), nn.ReLU(inplace=True)
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


class JointPredictionBlock(nn.Module):
    """MobileViT's predictor: optional 1×1 to ``projected`` channels, linear depthwise 3×3, 1×1 to all outputs.

    Args:
        channels: of the map.
        projected: channels after the first 1×1, which is left out if they equal ``channels``.
        outputs: number of values that are predicted at each cell.
        pooled: whether the map has one cell; then a 1×1 takes the place of all layers.
        config: options of the convolutions.
    """

    def __init__(self, channels: int, projected: int, outputs: int, pooled: bool, config: ConvConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if projected != channels:
            layers.append(ConvNormAct(channels, projected, act="relu", config=config))
            channels = projected
        if not pooled:
            layers.append(ConvNormAct.depthwise(channels, 3, 1, 1, None, config))
        self.body = nn.Sequential(*layers)
        self.project = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.body(x))


def predict(blocks: nn.ModuleList, levels: list[Tensor], values: int) -> Tensor:
    """Runs one of the ``blocks`` on each map, and returns the predictions of all anchors, ``[N, A, values]``."""
    outputs = [block(x).permute(0, 2, 3, 1) for block, x in zip(blocks, levels, strict=True)]
    # not len(x), which is a plain number: an exported network would only take the example's batch size
    return torch.cat([x.reshape(x.shape[0], -1, values) for x in outputs], dim=1)
