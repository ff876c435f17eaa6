"""R-ASPP, MobileNetV2's segmentation head: DeepLabv3 without atrous branches (arXiv 1801.04381, section 6.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..backbones.blocks import ConvConfig, ConvNormAct, global_avg_pool
from ..errors import UserError
from .contract import Features, full_precision
from .pixels import PixelHead, check_options, resize_maps


class RASPP(PixelHead):
    """Classifies every pixel from a 1×1 on the coarsest map and a 1×1 on its global mean, fused by a third 1×1.

    The papers use a map at stride 16 (``output_stride=16``): c5 of MobileNetV2, final of MobileNetV3.

    Args:
        features: the available maps; the last is used.
        num_classes: number of classes; pixels labelled 255 are ignored.
        channels: number of filters of each of the three convolutions, e.g. 256.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: ``features`` is empty, or ``num_classes`` or ``channels`` is out of range.
    """

    class_layers = ("classifier",)
    shape_arguments = ("channels",)

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        channels: int = 256,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        check_options(self, num_classes, channels)
        if not features:
            raise UserError("RASPP needs a map, but got none.")
        self.map, feature = list(features.items())[-1]
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.project = ConvNormAct(feature.channels, channels, act="relu", config=config)
        self.pool_project = ConvNormAct(feature.channels, channels, act="relu", config=config)
        self.join = ConvNormAct(2 * channels, channels, act="relu", config=config)
        self.classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes, H, W]`` at the size of the images."""
        x = maps[self.map]
        pooled = self.pool_project(global_avg_pool(x)[:, :, None, None]).expand(-1, -1, *x.shape[2:])
        joined = self.join(torch.cat((self.project(x), pooled), dim=1))
        return resize_maps(full_precision(self.classifier(joined)), image_size)
