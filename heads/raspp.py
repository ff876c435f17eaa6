"""R-ASPP, the segmentation head of MobileNetV2: DeepLabv3's without atrous branches (arXiv 1801.04381, section 6.3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..backbones.blocks import ConvConfig, ConvNormAct, global_avg_pool
from ..errors import UserError
from .contract import Features, full_precision
from .pixels import PixelHead, check_options, enlarged


class RASPP(PixelHead):
    """A 1×1 on the coarsest map beside a 1×1 on its global mean, joined by a third and classified.

    The papers put it on a map at stride 16 (``output_stride=16``): on MobileNetV2's c5, on MobileNetV3's final.

    Args:
        features: the maps on offer; the last is used.
        num_classes: classes to tell apart; pixels labelled 255 count as none of them.
        filters: of each of the three. An option of this name is no other head's: the command line hands what heads
            share over from one to the next, and LR-ASPP's channels are another number.
        norm_eps: epsilon of the batch norms.
        norm_momentum: momentum of the batch norms.

    Raises:
        ValueError: no map, no class, or more classes than a byte can tell apart.
    """

    class_layers = ("classifier",)
    shape_arguments = ("filters",)

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        filters: int = 256,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        check_options(self, num_classes, filters)
        if not features:
            raise UserError("RASPP needs a map, but was given none.")
        self.map, feature = list(features.items())[-1]
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.project = ConvNormAct(feature.channels, filters, act="relu", config=config)
        self.pooled = ConvNormAct(feature.channels, filters, act="relu", config=config)
        self.join = ConvNormAct(2 * filters, filters, act="relu", config=config)
        self.classifier = nn.Conv2d(filters, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes, H, W]`` at the size of the images."""
        x = maps[self.map]
        pooled = self.pooled(global_avg_pool(x)[:, :, None, None]).expand(-1, -1, *x.shape[2:])
        joined = self.join(torch.cat((self.project(x), pooled), dim=1))
        return enlarged(full_precision(self.classifier(joined)), image_size)
