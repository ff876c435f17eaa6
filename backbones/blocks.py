"""What the architectures are built from: channel rounding, convolution + norm + activation, strides, initial values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError

Activation = Literal["relu", "relu6", "hardswish", "silu", "leaky_relu"]
Padding = Literal["symmetric", "same"]

ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.3),  # the slope that EffNet is published with
}


class ConvConfig(NamedTuple):
    """What convolutions of one network share.

    Attributes:
        padding: "symmetric" pads ⌊k/2⌋·dilation on every side; "same" pads as TensorFlow does, more at the bottom and
            right where the stride leaves a remainder.
        norm_eps: epsilon of the batch norms.
        norm_momentum: share of the new batch in the running statistics (PyTorch's convention).
    """

    padding: Padding = "symmetric"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1


def round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of ``divisor``, but never below nine tenths of ``channels`` (MobileNetV2's rule)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


def activation(name: Activation) -> nn.Module:
    """The activation module called ``name``, working in place.

    Raises:
        ValueError: no such activation.
    """
    if name not in ACTIVATIONS:
        raise UserError(f"There is no activation {name!r}: choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name](inplace=True)


def global_average(x: Tensor) -> Tensor:
    """Mean of every channel over a map: ``[N, C, H, W]`` → ``[N, C]``.

    Taken over cells with their channels last: the gradient of ``x.mean((2, 3))`` lies in memory channels first, and the
    layers before would have to turn it, which took some six times as long.
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2).mean(1)


class SamePadConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which depends on the input's size."""

    def forward(self, input: Tensor) -> Tensor:
        height, width = (
            max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
            for size, k, s, d in zip(input.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        )
        if height or width:  # padding by nothing would copy the input
            input = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return self._conv_forward(input, self.weight, self.bias)


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm and, unless ``act`` is None, an activation."""

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
        style: ConvConfig,
    ) -> None:
        super().__init__()
        if style.padding not in ("symmetric", "same"):
            raise UserError(f"There is no padding {style.padding!r}: choose symmetric or same.")
        # with stride 1 both styles pad alike, and a plain convolution is the quicker and more exportable one
        same = style.padding == "same" and stride > 1
        self.conv = (SamePadConv2d if same else nn.Conv2d)(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=0 if same else dilation * (kernel // 2),
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.norm = nn.BatchNorm2d(out_channels, style.norm_eps, style.norm_momentum)
        if act is not None:
            self.act = activation(act)


class StrideTracker:
    """Keeps count of strides while a network is built, and turns those beyond ``output_stride`` into dilation.

    As in torchvision's segmentation networks, the layer whose stride is replaced is dilated itself, too.
    """

    def __init__(self, output_stride: int) -> None:
        if output_stride not in (8, 16, 32):
            raise UserError(f"output_stride must be 8, 16 or 32, not {output_stride}.")
        self.limit = output_stride
        self.nominal = 1

    def take(self, stride: int) -> tuple[int, int]:
        """Counts a layer of nominal ``stride`` and gives the (stride, dilation) that it is to be built with."""
        self.nominal *= stride
        return (stride if self.nominal <= self.limit else 1), max(1, self.nominal // self.limit)

    @property
    def actual(self) -> int:
        """Input pixels that one cell spans after the layers so far."""
        return min(self.nominal, self.limit)

    @property
    def position(self) -> str:
        """The contract's name for the map after the layers so far: c1 at nominal stride 2, … c5 at 32."""
        return f"c{self.nominal.bit_length() - 1}"


def init_convolutions(module: nn.Module) -> None:
    """He-normal convolutions (fan-out) with zero biases, which the MobileNets are trained from."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
