"""The inverted residual and the chain of them that MobileNetV2 and MobileNetV3 are (arXiv 1801.04381, 1905.02244)."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, global_average, init_convolutions
from .sequential import Aliases, SequentialBackbone
from .timm_names import STEM, block_names


class SqueezeExcite(nn.Module):
    """Channel gate of MobileNetV3 (section 5.3): global mean → 1×1 → ReLU → 1×1 → hard sigmoid → scale."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self.reduce(global_average(x)[:, :, None, None]))
        return x * F.hardsigmoid(self.expand(squeezed))


class InvertedResidual(nn.Module):
    """MobileNetV2's block (section 3.3): widen by a 1×1, filter depthwise, gate (V3 only), narrow by a linear 1×1.

    The input is added where shapes allow. With ``expanded == in_channels`` there is no widening 1×1.
    """

    def __init__(
        self,
        in_channels: int,
        expanded: int,
        out_channels: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        squeezed: int = 0,
        shortcut: bool,
        act: Activation,
        style: ConvConfig,
    ) -> None:
        super().__init__()
        body: dict[str, nn.Module] = {}
        if expanded != in_channels:
            body["expand"] = ConvNormAct(in_channels, expanded, act=act, style=style)
        body["depthwise"] = ConvNormAct(
            expanded, expanded, kernel, stride, dilation=dilation, groups=expanded, act=act, style=style
        )
        if squeezed:
            body["squeeze_excite"] = SqueezeExcite(expanded, squeezed)
        body["project"] = ConvNormAct(expanded, out_channels, act=None, style=style)
        self.body = nn.Sequential()
        for name, module in body.items():
            self.body.add_module(name, module)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.shortcut else self.body(x)


class InvertedResidualBackbone(SequentialBackbone):
    """What MobileNetV2 and V3 share: a strided stem, inverted residuals, one last 1×1.

    The first block at nominal stride 32 is split after its widening 1×1, whose output is the map ``c4_expansion`` that
    SSDLite is published on (MobileNetV2 section 6.2, MobileNetV3 section 6.3). ``c3_first`` is the output of the first
    block at nominal stride 8, which torchvision puts LR-ASPP's fine branch on.
    """

    def __init__(self, width: float, in_channels: int, output_stride: int, style: ConvConfig) -> None:
        super().__init__(width, in_channels)
        self._style = style
        self._strides = StrideTracker(output_stride)
        self._channels = in_channels
        self._blocks = 0  # torchvision numbers them throughout
        self._row, self._repeat = -1, 0  # timm by the row of the table and within it

    def add_stem(self, out_channels: int, act: Activation) -> None:
        """Appends the 3×3 convolution of stride 2 that every MobileNet begins with."""
        stride, _ = self._strides.take(2)
        self._append_conv(ConvNormAct(self._channels, out_channels, 3, stride, act=act, style=self._style), STEM)
        self.add_feature(self._strides.position, out_channels, self._strides.actual)
        self._channels = out_channels

    def add_block(
        self,
        expanded: int,
        out_channels: int,
        *,
        opens_row: bool,
        kernel: int,
        stride: int,
        squeezed: int = 0,
        act: Activation,
    ) -> None:
        """Appends an inverted residual; its output is the last one at its stride until the next is added."""
        self._blocks += 1
        self._row, self._repeat = (self._row + 1, 0) if opens_row else (self._row, self._repeat + 1)
        shortcut = stride == 1 and self._channels == out_channels
        opens_c5 = stride == 2 and self._strides.nominal == 16
        stride_before = self._strides.actual
        stride, dilation = self._strides.take(stride)

        parts = ["expand"] if expanded != self._channels else []
        parts += ["depthwise", "squeeze_excite", "project"] if squeezed else ["depthwise", "project"]
        libraries = (
            self.torchvision_block(f"features.{self._blocks}", parts),
            block_names(f"blocks.{self._row}.{self._repeat}", parts),
        )

        in_channels = self._channels
        if opens_c5:
            widen = ({ours: names.pop(f"expand.{ours}") for ours in ("conv", "norm")} for names in libraries)
            self.append(ConvNormAct(in_channels, expanded, act=act, style=self._style), *widen)
            self.add_feature("c4_expansion", expanded, stride_before)
            in_channels = expanded
        block = InvertedResidual(
            in_channels,
            expanded,
            out_channels,
            kernel=kernel,
            stride=stride,
            dilation=dilation,
            squeezed=squeezed,
            shortcut=shortcut,
            act=act,
            style=self._style,
        )
        self.append(block, *({f"body.{ours}": theirs for ours, theirs in names.items()} for names in libraries))
        if self._strides.nominal == 8 and "c3" not in self.features:
            self.add_feature("c3_first", out_channels, self._strides.actual)
        self.add_feature(self._strides.position, out_channels, self._strides.actual)
        self._channels = out_channels

    def add_final(self, out_channels: int, act: Activation) -> None:
        """Appends the 1×1 before the pooling, the map ``final``, and draws the initial weights."""
        self._blocks += 1
        self._append_conv(ConvNormAct(self._channels, out_channels, act=act, style=self._style), self.timm_final())
        self.add_feature("final", out_channels, self._strides.actual)
        self._channels = out_channels
        init_convolutions(self)

    @staticmethod
    @abstractmethod
    def torchvision_block(prefix: str, parts: list[str]) -> dict[str, str]:
        """For a block of these ``parts``: module names inside our block → torchvision's full names."""

    @abstractmethod
    def timm_final(self) -> Aliases:
        """For the last 1×1: module names inside our layer → timm's full names."""

    def _append_conv(self, layer: ConvNormAct, timm: Aliases) -> None:
        self.append(layer, {"conv": f"features.{self._blocks}.0", "norm": f"features.{self._blocks}.1"}, timm)
