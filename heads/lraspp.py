"""LR-ASPP, the lightweight segmentation head of MobileNetV3 (arXiv 1905.02244, section 6.4)."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, Self

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.blocks import ConvConfig, ConvNormAct, global_avg_pool
from ..backbones.contract import check_choice
from ..errors import UserError
from .contract import Features, full_precision
from .pixels import PixelHead, check_options, resize_maps

Pool = Literal["global", "large"]


class PoolingWindow(NamedTuple):
    """Window and strides of the paper's average pooling, in positions of the coarse map.

    Attributes:
        size: height and width of the window.
        row_step: rows from one window to the next.
        column_step: columns from one window to the next.
    """

    size: int
    row_step: int
    column_step: int

    @classmethod
    def for_stride(cls, stride: int) -> Self:
        """Returns the window that covers as many pixels at ``stride`` as the paper's 49×49 does at stride 16."""
        # 49 positions at stride 16 cover 48·16 + 1 pixels
        return cls(math.ceil(769 / stride), max(1, 16 * 16 // stride), max(1, 20 * 16 // stride))


class LRASPP(PixelHead):
    """Adds the class logits of a fine map and of a gated coarse map.

    A 1×1 convolution and bilinear upsampling commute. Upsampling the logits instead of the channels gives the same
    result with less computation; for 21 classes and 128 channels, upsampling costs a sixth.

    Args:
        features: channels and strides of two feature maps, the finer first.
        num_classes: number of classes; pixels labelled 255 are ignored.
        channels: output channels of the coarse branch: 128, or 256 as in the paper's larger version.
        pool: how the gate pools the coarse map. "global" averages the whole map as torchvision does. "large" averages
            windows as the paper does: 49×49 positions with strides 16×20 at stride 16, and as many pixels at other
            strides. A map smaller than the window is pooled as a whole; a window that crosses the border averages the
            part inside the map.
        norm_eps: epsilon of the batch norm; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norm.

    Raises:
        UserError: ``features`` is not two maps from fine to coarse, or an option is invalid.
    """

    class_layers = ("fine_classifier", "coarse_classifier")
    shape_arguments = ("channels",)

    def __init__(
        self,
        features: Features,
        num_classes: int,
        *,
        channels: int = 128,
        pool: Pool = "global",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        check_options(self, num_classes, channels)
        check_choice("LRASPP's pool", pool, ("global", "large"))
        strides = [feature.stride for feature in features.values()]
        if len(strides) != 2 or strides[0] > strides[1]:
            raise UserError(f"LRASPP needs two maps, finer first, but got {', '.join(features)} at strides {strides}.")
        (self.fine_name, fine), (self.coarse_name, coarse) = features.items()
        self.window = PoolingWindow.for_stride(coarse.stride) if pool == "large" else None
        config = ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        self.project = ConvNormAct(coarse.channels, channels, act="relu", config=config)
        self.gate = nn.Conv2d(coarse.channels, channels, 1, bias=False)
        self.fine_classifier = nn.Conv2d(fine.channels, num_classes, 1)
        self.coarse_classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes, H, W]`` at the size of the images."""
        fine, coarse = maps[self.fine_name], maps[self.coarse_name]
        coarse_logits = self.coarse_classifier(self.project(coarse) * self.compute_gates(coarse))
        logits = self.fine_classifier(fine) + resize_maps(coarse_logits, (fine.shape[2], fine.shape[3]))
        return resize_maps(full_precision(logits), image_size)

    def compute_gates(self, coarse: Tensor) -> Tensor:
        """Returns the gate, in 0 … 1: ``[N, channels, h, w]``, or ``[N, channels, 1, 1]`` for global pooling."""
        if self.window is None:
            return self.gate(global_avg_pool(coarse)[:, :, None, None]).sigmoid()
        height, width = coarse.shape[2:]
        size = (min(self.window.size, height), min(self.window.size, width))
        # ceil_mode keeps the positions at the border; their average uses only those inside the map
        pooled = F.avg_pool2d(coarse, size, stride=(self.window.row_step, self.window.column_step), ceil_mode=True)
        return resize_maps(self.gate(pooled).sigmoid(), (height, width))
