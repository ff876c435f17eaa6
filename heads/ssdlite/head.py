"""SSDLite: SSD with depthwise separable convolutions (MobileNetV2, arXiv 1801.04381, section 6.2)."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from torch import Tensor, nn

from ...backbones.blocks import ConvConfig, Padding, init_convolutions
from ..contract import ClassDimension, Features
from .base import SSDHead
from .layers import PredictionBlock, build_bottleneck_extra, predict

INIT_STD = 0.03  # of torchvision's and TensorFlow's normal initial weights


class SSDLite(SSDHead):
    """Predicts boxes and classes on the backbone's maps and on extra maps, each half the size of the previous.

    The papers use the maps c4_expansion and final of MobileNetV2 and V3.

    Args:
        features: the maps, finest first. Their width multiplier also scales the extra maps.
        num_classes: number of foreground classes.
        padding: "same" pads strided convolutions as TensorFlow does; "symmetric" as torchvision does.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: the maps are not finest first, or another argument is invalid.
    """

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        padding: Padding = "symmetric",
        norm_eps: float = 1e-3,
        norm_momentum: float = 0.03,
        **options: Any,
    ) -> None:
        super().__init__(features, num_classes, **options)
        config = ConvConfig(padding, norm_eps, norm_momentum)
        pairs = itertools.pairwise(self.channels[len(features) - 1 :])
        self.extras = nn.ModuleList(build_bottleneck_extra(*pair, config) for pair in pairs)
        self.classifiers, self.regressors = (
            nn.ModuleList(
                PredictionBlock(channels, anchors * values, config)
                for channels, anchors in zip(self.channels, self.anchors.per_cell, strict=True)
            )
            for values in (self.outputs, 4)
        )
        self._init_weights()

    def _init_weights(self) -> None:
        init_convolutions(self, partial(nn.init.normal_, std=INIT_STD))
        for name, bias in self.classifiers.named_parameters():
            if name.endswith("project.bias"):
                nn.init.constant_(bias, self.classification.prior_bias)

    def predict(self, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        return predict(self.classifiers, levels, self.outputs), predict(self.regressors, levels, 4)

    def class_dimensions(self) -> dict[str, ClassDimension]:
        return {
            f"classifiers.{level}.project.{leaf}": ClassDimension(anchors, offset=1)
            for level, anchors in enumerate(self.anchors.per_cell)
            for leaf in ("weight", "bias")
        }
