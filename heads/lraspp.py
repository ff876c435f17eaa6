"""LR-ASPP, the light segmentation head of MobileNetV3 (arXiv 1905.02244, section 6.4)."""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

import torch.nn.functional as F
from torch import Tensor, nn

from ..backbones.blocks import ConvConfig, ConvNormAct, global_avg_pool
from ..errors import UserError
from .contract import Features, full_precision
from .pixels import PixelHead, check_options, enlarged

Pool = Literal["global", "large"]
POOLS: tuple[Pool, ...] = ("global", "large")


class Window(NamedTuple):
    """What the paper pools over, in cells of the coarse map.

    Attributes:
        side: of the square windows.
        down: cells from one window to the next below.
        right: cells from one window to the next beside.
    """

    side: int
    down: int
    right: int

    @classmethod
    def at(cls, stride: int) -> Self:
        """49 cells in steps of 16 and 20 at stride 16, which 769, 256 and 320 pixels are."""
        return cls(-(-769 // stride), max(1, 256 // stride), max(1, 320 // stride))


class LRASPP(PixelHead):
    """A 1×1 on the coarse map, gated by its pooled self, classified and added to the classified fine map.

    A 1×1 and bilinear enlargement may change places: classes, not channels, are enlarged here, which is the same
    function for a sixth of the work.

    Args:
        features: two maps, the finer first.
        num_classes: classes to tell apart; pixels labelled 255 count as none of them.
        channels: filters of the coarse branch (128; 256 in the paper's larger version).
        pool: what the gate sees of the coarse map: its "global" mean, as in torchvision, or "large" windows' means,
            enlarged again, as in the paper. Those are 49×49 cells in steps of 16×20 at stride 16, and as many pixels
            at other strides; where the map is smaller, it is one window. Windows that the map's end cuts off are means
            of what is left.
        norm_eps: epsilon of the batch norm.
        norm_momentum: momentum of the batch norm.

    Raises:
        ValueError: not two maps, the finer first; no class, or too many for a byte; no channel; no such pool.
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
        if pool not in POOLS:
            raise UserError(f"LRASPP's pool must be {' or '.join(POOLS)}, not {pool!r}.")
        strides = [feature.stride for feature in features.values()]
        if len(strides) != 2 or strides[0] > strides[1]:
            raise UserError(
                f"LRASPP needs two maps, the finer first, but was given {', '.join(features)} at strides {strides}."
            )
        (self.fine, fine), (self.coarse, coarse) = features.items()
        self.window = Window.at(coarse.stride) if pool == "large" else None
        self.project = ConvNormAct(
            coarse.channels, channels, act="relu", config=ConvConfig(norm_eps=norm_eps, norm_momentum=norm_momentum)
        )
        self.gate = nn.Conv2d(coarse.channels, channels, 1, bias=False)
        self.fine_classifier = nn.Conv2d(fine.channels, num_classes, 1)
        self.coarse_classifier = nn.Conv2d(channels, num_classes, 1)

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        """Maps → logits ``[N, num_classes, H, W]`` at the size of the images."""
        fine, coarse = maps[self.fine], maps[self.coarse]
        gated = self.coarse_classifier(self.project(coarse) * self.gates(coarse))
        logits = self.fine_classifier(fine) + enlarged(gated, (fine.shape[2], fine.shape[3]))
        return enlarged(full_precision(logits), image_size)

    def gates(self, coarse: Tensor) -> Tensor:
        """What the projected map is multiplied by, 0 … 1: ``[N, channels, h, w]``, or 1×1 where the pool is global."""
        if self.window is None:
            return self.gate(global_avg_pool(coarse)[:, :, None, None]).sigmoid()
        height, width = coarse.shape[2:]
        window = (min(self.window.side, height), min(self.window.side, width))
        # windows that reach beyond the border are means of what they show: every cell has a say
        pooled = F.avg_pool2d(coarse, window, stride=(self.window.down, self.window.right), ceil_mode=True)
        return enlarged(self.gate(pooled).sigmoid(), (height, width))
