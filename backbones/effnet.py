"""EffNet: convolutions separable in space as well as depth, with a pool in between (arXiv 1801.06434)."""

from __future__ import annotations

import itertools
from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .blocks import Activation, SamePadConv2d, StrideTracker, activation, init_convolutions, round_channels
from .published import Variant
from .sequential import SequentialBackbone

ClosingKernel = Literal["2x1", "1x2"]

# what enters the first block's depthwise convolutions … what leaves the last block (table 1, the network for CIFAR-10)
CHANNELS = (32, 64, 128, 256)
EXTENSION = (512, 1024)
EXTENDED_FEATURES = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}

# counted as published for 32×32 px and ten classes: the 4×4 cells of the last map each have weights of their own
VARIANTS = (
    Variant({}, 151_146, 5.64, size=32, classes=10, classifier={"pool_size": 4, "dropout": 0.0}),
    Variant({"extended": True}),
)


class ConvActNorm(nn.Sequential):
    """Convolution without bias, activation, batch norm, in EffNet's order; sizes are those of "same" padding."""

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
        norm_eps: float,
        norm_momentum: float,
    ) -> None:
        super().__init__()
        even = 2 in kernel  # which no symmetric padding suits
        padding = (0, 0) if even else (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
        self.conv = (SamePadConv2d if even else nn.Conv2d)(
            in_channels, out_channels, kernel, (1, column_stride), padding, dilation, groups, bias=False
        )
        self.act = activation(act)
        self.norm = nn.BatchNorm2d(out_channels, norm_eps, norm_momentum)


class RowPool(nn.Module):
    """The greater of two rows, which halves the height, rounding up; with ``stride`` 1 at ``dilation`` rows apart."""

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
    """EffNet as published, or with two more blocks that are ours.

    A block is a 1×1, a depthwise 1×3, a max-pool of two rows, a depthwise 3×1, and a convolution of two cells that
    halves the columns and doubles the channels. The first block stands where others have their stem (section 3).

    Maps at width 1: c1 64, c2 128, c3 256 channels, and no more as published: no head for detection or segmentation can
    sit on it. ``extended`` goes on by the same rule: c4 512, c5 1024.

    Args:
        width: multiplies the channels of every layer.
        extended: two more blocks, strides 16 and 32. They are an addition of this library and in no paper.
        closing_kernel: "2x1" looks at two rows and, with its stride of two columns, leaves out every other column, as
            the published Keras code does; "1x2" looks at the two columns that the stride spans, as PyTorch ports do.
        output_stride: 32, 16 or 8; strides beyond it become dilation.
        in_channels: channels of the images.
        activation: after every convolution; "leaky_relu" has EffNet's slope of 0.3.
        norm_eps: epsilon of the batch norms; 1e-3 is Keras'.
        norm_momentum: momentum of the batch norms; Keras' 0.99 is 0.01 here.

    Raises:
        ValueError: a value is not on offer, or ``width`` is not positive.
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
        if closing_kernel not in kernels:
            raise UserError(f"closing_kernel must be {' or '.join(kernels)}, not {closing_kernel!r}.")

        def conv(before: int, after: int, kernel: tuple[int, int] = (1, 1), **options: int) -> ConvActNorm:
            return ConvActNorm(
                before, after, kernel, act=activation, norm_eps=norm_eps, norm_momentum=norm_momentum, **options
            )

        strides = StrideTracker(output_stride)
        before, dilated = in_channels, 1
        channels = [round_channels(c * width) for c in (*CHANNELS, *(EXTENSION if extended else ()))]
        for inner, after in itertools.pairwise(channels):
            stride, dilation = strides.take(2)
            block = nn.Sequential()
            block.add_module("pointwise", conv(before, inner))
            block.add_module("row", conv(inner, inner, (1, 3), dilation=dilated, groups=inner))
            block.add_module("pool", RowPool(stride, dilation))
            block.add_module("column", conv(inner, inner, (3, 1), dilation=dilation, groups=inner))
            block.add_module(
                "closing", conv(inner, after, kernels[closing_kernel], column_stride=stride, dilation=dilation)
            )
            self.append(block)
            self.add_feature(strides.position, after, strides.actual)
            before, dilated = after, dilation
        init_convolutions(self)
        self.default_features = dict(EXTENDED_FEATURES) if extended else {"classification": ("c3",)}

    def feature_names(self, role: str) -> tuple[str, ...]:
        try:
            return super().feature_names(role)
        except ValueError as error:
            if role not in EXTENDED_FEATURES or self.arguments["extended"]:
                raise
            raise UserError(f"{str(error).rstrip('.')}, or extended=True for the maps of {role}.") from None
