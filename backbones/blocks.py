"""Building blocks: channel rounding, convolution + norm + activation, stride tracking, initial weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import check_range
from .contract import check_choice

Activation = Literal["relu", "relu6", "hardswish", "silu", "leaky_relu"]
Padding = Literal["symmetric", "same"]


class Hardswish(nn.Hardswish):
    """Hard swish; not in place where its gradient needs the input, of which PyTorch would then make a copy."""

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace and not input.requires_grad)


class SiLU(nn.SiLU):
    """SiLU; not in place where its gradient needs the input, as :class:`Hardswish`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input, self.inplace and not input.requires_grad)


ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": Hardswish,
    "silu": SiLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.3),  # the slope in the EffNet paper
}


class ConvConfig(NamedTuple):
    """Options that all convolutions of a network share.

    Attributes:
        padding: "symmetric" pads ⌊k/2⌋·dilation on every side; "same" pads as TensorFlow does, with more at the bottom
            and right if the total is odd.
        norm_eps: epsilon of the batch norms.
        norm_momentum: weight of the new batch in the running statistics (PyTorch's convention).
    """

    padding: Padding = "symmetric"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1


def round_channels(channels: float, divisor: int = 8) -> int:
    """Rounds to the nearest multiple of ``divisor`` that is at least 90 % of ``channels`` (MobileNetV2's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def build_activation(name: Activation) -> nn.Module:
    """Builds the activation ``name``, which works in place where that saves memory.

    Raises:
        UserError: no activation has that name.
    """
    check_choice("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name](inplace=True)


def build_norm(channels: int, config: ConvConfig) -> nn.BatchNorm2d:
    """Builds the batch norm of a convolution.

    Raises:
        UserError: ``norm_eps`` or ``norm_momentum`` is out of range.
    """
    check_range("norm_eps", config.norm_eps, gt=0, lt=math.inf)
    check_range("norm_momentum", config.norm_momentum, ge=0, le=1)
    return nn.BatchNorm2d(channels, config.norm_eps, config.norm_momentum)


def global_avg_pool(x: Tensor) -> Tensor:
    """Averages every channel over a map: ``[N, C, H, W]`` → ``[N, C]``.

    It averages in channels-last order. The gradient of ``x.mean((2, 3))`` is channels-first, so the layers before would
    have to convert it, which took about six times as long. Exported networks have no gradient, and engines have
    a kernel for the pooling layer only.
    """
    if torch.compiler.is_exporting():
        return F.adaptive_avg_pool2d(x, 1).flatten(1)
    cells = x.permute(0, 2, 3, 1).flatten(1, 2)
    return cells.sum(1) / cells.shape[1]  # the gradient of mean() divides every cell instead of the sums


class SamePadConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which depends on the input's size."""

    def forward(self, input: Tensor) -> Tensor:
        height, width = (
            max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
            for size, k, s, d in zip(input.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        )
        if height or width:  # padding by zero would copy the input
            input = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return self._conv_forward(input, self.weight, self.bias)


class ConvNormAct(nn.Sequential):
    """Bias-free convolution, batch norm, and an activation unless ``act`` is None."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        dilation: int = 1,
        groups: int = 1,
        act: Activation | None,
        config: ConvConfig,
    ) -> None:
        super().__init__()
        check_choice("padding", config.padding, ("symmetric", "same"))
        # with stride 1 both paddings are equal, and a plain convolution is faster and easier to export
        same = config.padding == "same" and stride > 1
        padding = 0 if same else dilation * (kernel // 2)
        convolution = SamePadConv2d if same else nn.Conv2d
        self.conv = convolution(in_channels, out_channels, kernel, stride, padding, dilation, groups, bias=False)
        self.norm = build_norm(out_channels, config)
        if act is not None:
            self.act = build_activation(act)

    @classmethod
    def depthwise(
        cls, channels: int, kernel: int, stride: int, dilation: int, act: Activation | None, config: ConvConfig
    ) -> Self:
        """Builds a depthwise convolution, which has one filter per channel."""
        return cls(channels, channels, kernel, stride, dilation=dilation, groups=channels, act=act, config=config)


class StrideTracker:
    """Tracks the stride while a network is built, and replaces strides beyond ``output_stride`` by dilation.

    As in torchvision's segmentation networks, the layer whose stride is replaced is dilated as well.
    """

    def __init__(self, output_stride: int) -> None:
        check_choice("output_stride", output_stride, (8, 16, 32))
        self.output_stride = output_stride
        self.nominal_stride = 1

    def advance(self, stride: int) -> tuple[int, int]:
        """Adds a layer of nominal ``stride`` and returns the (stride, dilation) to build it with."""
        self.nominal_stride *= stride
        actual = stride if self.nominal_stride <= self.output_stride else 1
        return actual, max(1, self.nominal_stride // self.output_stride)

    @property
    def current_stride(self) -> int:
        """Actual stride after the layers so far, in input pixels per cell."""
        return min(self.nominal_stride, self.output_stride)

    @property
    def feature_name(self) -> str:
        """The contract's name for the map after the layers so far: c1 at nominal stride 2, … c5 at 32."""
        return f"c{self.nominal_stride.bit_length() - 1}"


HE_NORMAL = partial(nn.init.kaiming_normal_, mode="fan_out")  # as the MobileNets are initialised


def init_convolutions(module: nn.Module, init_weight: Callable[[Tensor], object] = HE_NORMAL) -> None:
    """Initialises the weights of all convolutions by ``init_weight``, and their biases by zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            init_weight(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
