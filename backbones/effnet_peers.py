"""What EffNet's paper compares it with on 32×32 pixels: small networks of MobileNet's and ShuffleNet's units.

The paper (arXiv 1801.06434, section 4) gives their budgets, 5.8 and 4.7 M FLOPs with two of them a multiply-add, and no
tables that say each layer. These are ours in their style: the first convolution is a plain one and keeps its full size,
which is what EffNet's paper finds fault with, and the channels grow as EffNet's do.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from .blocks import ConvConfig, ConvNormAct, init_convolutions
from .mobilenet_v1 import DepthwiseSeparable
from .sequential import SequentialBackbone
from .shufflenet_v1 import ShuffleUnit


class Peer(SequentialBackbone):
    """What both have: a 3×3 convolution to 64 channels at full size, a max-pool, then stages at strides 4 and 8.

    Maps: c1 64, c2 128, c3 256 channels.

    Args:
        in_channels: channels of the images.
        norm_eps: epsilon of the batch norms.
        norm_momentum: momentum of the batch norms.
    """

    shape_arguments = ("in_channels",)

    def __init__(self, in_channels: int = 3, norm_eps: float = 1e-5, norm_momentum: float = 0.1) -> None:
        super().__init__(1.0, in_channels)
        style = ConvConfig("symmetric", norm_eps, norm_momentum)
        self.append(ConvNormAct(in_channels, 64, 3, act="relu", style=style))
        self.append(nn.MaxPool2d(2, ceil_mode=True))
        self.add_feature("c1", 64, 2)
        for position, before, channels, stride in (("c2", 64, 128, 4), ("c3", 128, 256, 8)):
            for unit in self.stage(before, channels, style):
                self.append(unit)
            self.add_feature(position, channels, stride)
        init_convolutions(self)
        self.default_features = {"classification": ("c3",)}

    @abstractmethod
    def stage(self, before: int, channels: int, style: ConvConfig) -> list[nn.Module]:
        """Units that halve a map's sides."""


class PeerMobileNet(Peer):
    """A separable convolution of stride 2 a stage; 5.83 M FLOPs with a classifier of 4×4 cells for ten classes."""

    def stage(self, before: int, channels: int, style: ConvConfig) -> list[nn.Module]:
        return [DepthwiseSeparable(before, channels, stride=2, dilation=1, act="relu", style=style)]


class PeerShuffleNet(Peer):
    """Shuffle units of four groups; 4.63 M FLOPs, as above."""

    #: units of the stage that ends with as many channels
    units: ClassVar = {128: 2, 256: 1}

    def stage(self, before: int, channels: int, style: ConvConfig) -> list[nn.Module]:
        return [
            ShuffleUnit(
                before if repeat == 0 else channels,
                channels,
                groups=4,
                groups_of_first=4,
                stride=2 if repeat == 0 else 1,
                dilation=1,
                opens_stage=repeat == 0,
                act="relu",
                style=style,
            )
            for repeat in range(self.units[channels])
        ]
