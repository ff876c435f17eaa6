"""What the architectures are built from: channel rounding, convolution + norm + activation, strides, chains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from .contract import Backbone, Feature, WeightsError

Activation = Literal["relu", "relu6", "hardswish", "silu", "leaky_relu"]
Padding = Literal["symmetric", "same"]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}


class Style(NamedTuple):
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
        raise ValueError(f"There is no activation {name!r}: choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name](inplace=True)


class SamePadConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which depends on the input's size."""

    def forward(self, input: Tensor) -> Tensor:
        height, width = (
            max((math.ceil(size / s) - 1) * s + (k - 1) * d + 1 - size, 0)
            for size, k, s, d in zip(input.shape[-2:], self.kernel_size, self.stride, self.dilation, strict=True)
        )
        padded = F.pad(input, (width // 2, width - width // 2, height // 2, height - height // 2))
        return self._conv_forward(padded, self.weight, self.bias)


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
        style: Style,
    ) -> None:
        super().__init__()
        if style.padding not in ("symmetric", "same"):
            raise ValueError(f"There is no padding {style.padding!r}: choose symmetric or same.")
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


class Strides:
    """Keeps count of strides while a network is built, and turns those beyond ``output_stride`` into dilation.

    As in torchvision's segmentation networks, the layer whose stride is replaced is dilated itself, too.
    """

    def __init__(self, output_stride: int) -> None:
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride}.")
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


class Chain(Backbone):
    """A backbone whose layers run one after the other; its maps are the outputs of some of them.

    A family appends its layers and marks its maps as it goes, so that what ``features`` says is recorded while building
    and cannot drift from the layers.

    Attributes:
        published: name of published weights → the arguments they were trained with, each with the values that fit.
        torchvision_names: names of the modules that hold weights → their names in torchvision's network.
    """

    published: ClassVar[dict[str, dict[str, tuple[object, ...]]]] = {}

    def __init__(self, width: float) -> None:
        super().__init__()
        if not width > 0:
            raise ValueError(f"width must be positive, not {width}.")
        self.width = width
        self.layers = nn.ModuleList()
        self.features = {}
        self.taps = {}
        self.torchvision_names: dict[str, str] = {}
        self._ends: dict[str, int] = {}
        self._selected: tuple[str, ...] = ()

    def append(self, layer: nn.Module, torchvision_names: dict[str, str]) -> None:
        """Adds ``layer`` at the end; ``torchvision_names`` maps the modules inside it that hold weights."""
        for inside, theirs in torchvision_names.items():
            self.torchvision_names[f"layers.{len(self.layers)}.{inside}"] = theirs
        self.layers.append(layer)

    def mark(self, name: str, channels: int, stride: int) -> None:
        """Names the output of the last layer so far; a second mark of one name moves it."""
        self.features.pop(name, None)
        self.features[name] = Feature(channels, stride)
        self._ends[name] = len(self.layers)
        self._selected = tuple(self.features)

    def select(self, names: Sequence[str]) -> None:
        self.check_offered(names)
        end = max(self._ends[name] for name in names)
        del self.layers[end:]
        self.features = {name: feature for name, feature in self.features.items() if self._ends[name] <= end}
        self.taps = {role: taps for role, taps in self.taps.items() if set(taps) <= set(self.features)}
        self._selected = tuple(names)

    def imagenet_weights_name(self) -> str:
        return next((name for name in self.published if not self._misfits(name)), "")

    def nearest_weights(self) -> str:
        if not self.published:
            return ""
        name = min(self.published, key=lambda name: len(self._misfits(name)))
        return f"{name} would fit with {', '.join(self._misfits(name))}; "

    def check_published(self, name: str) -> None:
        if name not in self.published:
            offer = ", ".join(self.published) or "none"
            raise WeightsError(
                f"{name!r} is neither a file nor weights of {type(self).__name__}: published are {offer}."
            )
        misfits = self._misfits(name)
        if misfits:
            raise WeightsError(f"{name} does not fit: build {type(self).__name__} with {', '.join(misfits)} for it.")

    def _misfits(self, name: str) -> list[str]:
        """Arguments of the published weights that this network was built otherwise than, as ``name=value``."""
        arguments = self.arguments
        return [f"{key}={fit[0]!r}" for key, fit in self.published[name].items() if arguments[key] not in fit]

    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        ours = {theirs: name for name, theirs in self.torchvision_names.items()}
        own = self.state_dict()
        renamed: dict[str, Tensor] = {}
        left_over: list[str] = []
        for key, tensor in state.items():
            module, _, leaf = key.rpartition(".")
            name = f"{ours[module]}.{leaf}" if module in ours else key
            if name in own:
                renamed[name] = tensor
            elif name.rpartition(".")[0] not in self.torchvision_names:  # else it was dropped by select
                left_over.append(key)
        return renamed, left_over

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        x = images
        for done, layer in enumerate(self.layers, start=1):
            x = layer(x)
            for name in self._selected:
                if self._ends[name] == done:
                    maps[name] = x
        return {name: maps[name] for name in self._selected}


def init_convolutions(module: nn.Module) -> None:
    """He-normal convolutions (fan-out) with zero biases, which the MobileNets are trained from."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
