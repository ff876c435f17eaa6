"""EffNet: convolutions separable in space and depth, with a pool in between (arXiv 1801.06434).

The paper compares it with small networks for 32×32 pixels, built from MobileNet's and ShuffleNet's units (section 4).
It gives their budgets, 5.8 and 4.7 M FLOPs at two per multiply-add, but no layer tables. ``PeerMobileNet`` and
``PeerShuffleNet`` are our own networks in that style. Their first convolution is a plain one at full size, which the
paper criticises. Their channels grow as EffNet's do.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from functools import partial
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .blocks import (
    Activation,
    ConvConfig,
    ConvNormAct,
    SamePadConv2d,
    StrideTracker,
    build_activation,
    build_norm,
    init_convolutions,
    round_channels,
)
from .contract import Variant, check_choice
from .mobilenet_v1 import DepthwiseSeparable
from .sequential import SequentialBackbone
from .shufflenet_v1 import ShuffleUnit

ClosingKernel = Literal["2x1", "1x2"]

# channels inside the first block, then after each block (table 1, the network for CIFAR-10)
CHANNELS = (32, 64, 128, 256)
EXTENSION = (512, 1024)
EXTENDED_FEATURES = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}

# published for 32×32 px and ten classes; each of the 4×4 cells of the last map has its own weights
VARIANTS = (
    Variant({}, 151_146, 5.64, size=32, classes=10, classifier={"pool_size": 4, "dropout": 0.0}),
    Variant({"extended": True}),
)


class ConvActNorm(nn.Sequential):
    """Bias-free convolution, activation and batch norm, in EffNet's order, with "same" padding."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        column_stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        act: Activation,
        config: ConvConfig,
    ) -> None:
        super().__init__()
        even = 2 in kernel  # an even kernel needs asymmetric padding
        padding = (0, 0) if even else (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
        self.conv = (SamePadConv2d if even else nn.Conv2d)(
            in_channels, out_channels, kernel, (1, column_stride), padding, dilation, groups, bias=False
        )
        self.act = build_activation(act)
        self.norm = build_norm(out_channels, config)


class RowPool(nn.Module):
    """Max-pool of two rows. Stride 2 halves the height, rounding up; stride 1 pools rows ``dilation`` apart."""

    def __init__(self, stride: int, dilation: int) -> None:
        super().__init__()
        self.stride = stride
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            return F.max_pool2d(x, (2, 1), (2, 1), ceil_mode=True)
        below = F.pad(x, (0, 0, 0, self.dilation), value=float("-inf"))
        return F.max_pool2d(below, (2, 1), 1, dilation=(self.dilation, 1))


class EffNet(SequentialBackbone):
    """EffNet as published, or extended by two blocks of our own.

    A block is a 1×1, a depthwise 1×3, a max-pool of two rows, a depthwise 3×1, and a closing convolution of two cells.
    The closing convolution halves the columns and doubles the channels. The first block replaces the stem (section 3).

    Maps at width 1: c1 64, c2 128, c3 256 channels. Heads for detection and segmentation need coarser maps than these.
    ``extended`` adds them by the same rule: c4 512, c5 1024.

    Args:
        width: multiplies the channels of every layer, e.g. 0.5.
        extended: adds blocks at strides 16 and 32, which detection and segmentation need; they are not in the paper.
        closing_kernel: "2x1" covers two rows and skips every other column, as the published Keras code does; "1x2"
            covers the two columns of its stride, as PyTorch ports do.
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: used after every convolution; "leaky_relu" has the paper's slope of 0.3.
        norm_eps: epsilon of the batch norms; 1e-3 is the default of Keras.
        norm_momentum: weight of each new batch in the running statistics; 0.01 is Keras' momentum of 0.99.

    Raises:
        UserError: an argument has an unknown value, or ``width`` is not positive.
    """

    shape_arguments = ("width", "extended", "closing_kernel", "in_channels")
    variants: ClassVar = VARIANTS

    def __init__(
        self,
        width: float = 1.0,
        extended: bool = False,
        closing_kernel: ClosingKernel = "2x1",
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation = "leaky_relu",
        norm_eps: float = 1e-3,
        norm_momentum: float = 0.01,
    ) -> None:
        super().__init__(width, in_channels)
        kernels = {"2x1": (2, 1), "1x2": (1, 2)}
        check_choice("closing_kernel", closing_kernel, kernels)
        kernel = kernels[closing_kernel]
        config = ConvConfig("symmetric", norm_eps, norm_momentum)

        def conv(before: int, after: int, kernel: tuple[int, int] = (1, 1), **options: int) -> ConvActNorm:
            return ConvActNorm(before, after, kernel, act=activation, config=config, **options)

        strides = StrideTracker(output_stride)
        before, dilated = in_channels, 1
        channels = [round_channels(c * width) for c in (*CHANNELS, *(EXTENSION if extended else ()))]
        for inner, after in itertools.pairwise(channels):
            stride, dilation = strides.advance(2)
            block = nn.Sequential()
            block.add_module("pointwise", conv(before, inner))
            block.add_module("row", conv(inner, inner, (1, 3), dilation=dilated, groups=inner))
            block.add_module("pool", RowPool(stride, dilation))
            block.add_module("column", conv(inner, inner, (3, 1), dilation=dilation, groups=inner))
            block.add_module("closing", conv(inner, after, kernel, column_stride=stride, dilation=dilation))
            self.append(block)
            self.add_feature(strides.feature_name, after, strides.current_stride)
            before, dilated = after, dilation
        init_convolutions(self)
        self.default_features = dict(EXTENDED_FEATURES) if extended else {"classification": ("c3",)}

    def feature_names(self, role: str) -> tuple[str, ...]:
        try:
            return super().feature_names(role)
        except ValueError as error:
            if role not in EXTENDED_FEATURES or self.arguments["extended"]:
                raise
            raise UserError(f"{str(error).rstrip('.')}, or extended=True to get maps for {role}.") from None


class Peer(SequentialBackbone):
    """Base class of the peers: a 3×3 to 64 channels at full size, a max-pool, then stages at strides 4 and 8.

    Maps: c1 64, c2 128, c3 256 channels.

    Args:
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        norm_eps: epsilon of the batch norms.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.
    """

    shape_arguments = ("in_channels",)

    def __init__(self, in_channels: int = 3, norm_eps: float = 1e-5, norm_momentum: float = 0.1) -> None:
        super().__init__(1.0, in_channels)
        config = ConvConfig("symmetric", norm_eps, norm_momentum)
        self.append(ConvNormAct(in_channels, 64, 3, act="relu", config=config))
        self.append(nn.MaxPool2d(2, ceil_mode=True))
        self.add_feature("c1", 64, 2)
        for name, before, channels, stride in (("c2", 64, 128, 4), ("c3", 128, 256, 8)):
            for unit in self.build_stage(before, channels, config):
                self.append(unit)
            self.add_feature(name, channels, stride)
        init_convolutions(self)
        self.default_features = {"classification": ("c3",)}

    @abstractmethod
    def build_stage(self, before: int, channels: int, config: ConvConfig) -> list[nn.Module]:
        """Builds the units of a stage, which halves height and width."""


class PeerMobileNet(Peer):
    """One separable convolution of stride 2 per stage; 5.83 M FLOPs with a 4×4-pooled classifier of ten classes."""

    def build_stage(self, before: int, channels: int, config: ConvConfig) -> list[nn.Module]:
        return [DepthwiseSeparable(before, channels, stride=2, dilation=1, act="relu", config=config)]


class PeerShuffleNet(Peer):
    """Shuffle units of four groups; 4.63 M FLOPs with a 4×4-pooled classifier of ten classes."""

    #: output channels of a stage → its number of units
    units: ClassVar = {128: 2, 256: 1}

    def build_stage(self, before: int, channels: int, config: ConvConfig) -> list[nn.Module]:
        build_unit = partial(ShuffleUnit, groups=4, first_groups=4, dilation=1, act="relu", config=config)
        units: list[nn.Module] = [build_unit(before, channels, stride=2)]
        while len(units) < self.units[channels]:
            units.append(build_unit(channels, channels, stride=1))
        return units
