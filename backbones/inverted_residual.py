"""The inverted residual, and the base class of MobileNetV2 and MobileNetV3 (arXiv 1801.04381, 1905.02244)."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, global_avg_pool, init_convolutions
from .sequential import Aliases, SequentialBackbone

# timm's names: of the modules in the stem of every MobileNet, and of the convolutions in its two kinds of blocks
TIMM_STEM = {"conv": "conv_stem", "norm": "bn1"}
TIMM_SEPARABLE = {"depthwise": "conv_dw", "project": "conv_pw"}
TIMM_INVERTED = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}


class SqueezeExcite(nn.Module):
    """MobileNetV3's channel gate (section 5.3): global mean → 1×1 → ReLU → 1×1 → hard sigmoid → scale."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        squeezed = F.relu(self.reduce(global_avg_pool(x)[:, :, None, None]))
        return x * F.hardsigmoid(self.expand(squeezed))


class InvertedResidual(nn.Module):
    """MobileNetV2's block (section 3.3): expanding 1×1, depthwise convolution, gate (V3 only), linear 1×1.

    ``shortcut`` adds the input. If ``expanded == in_channels``, the block has no expanding 1×1.
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
        config: ConvConfig,
    ) -> None:
        super().__init__()
        body: OrderedDict[str, nn.Module] = OrderedDict()
        if expanded != in_channels:
            body["expand"] = ConvNormAct(in_channels, expanded, act=act, config=config)
        body["depthwise"] = ConvNormAct.depthwise(expanded, kernel, stride, dilation, act, config)
        if squeezed:
            body["squeeze_excite"] = SqueezeExcite(expanded, squeezed)
        body["project"] = ConvNormAct(expanded, out_channels, act=None, config=config)
        self.body = nn.Sequential(body)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.shortcut else self.body(x)


class InvertedResidualBackbone(SequentialBackbone):
    """Base class of MobileNetV2 and V3: a strided stem, inverted residuals, a final 1×1.

    The first block at nominal stride 32 is split after its expanding 1×1, whose output is the map ``c4_expansion``.
    The papers use this map for SSDLite (MobileNetV2 section 6.2, MobileNetV3 section 6.3). ``c3_first`` is the output
    of the first block at nominal stride 8; torchvision uses it for LR-ASPP's fine branch.
    """

    def __init__(self, width: float, in_channels: int, output_stride: int, config: ConvConfig) -> None:
        super().__init__(width, in_channels)
        self._config = config
        self._strides = StrideTracker(output_stride)
        self._channels = in_channels
        self._blocks = 0  # torchvision numbers blocks through the whole network
        self._row, self._repeat = -1, 0  # timm numbers them by row of the paper's table and by repeat

    def add_stem(self, out_channels: int, act: Activation) -> None:
        """Appends the first convolution, a 3×3 of stride 2."""
        stride, _ = self._strides.advance(2)
        self._append_conv(ConvNormAct(self._channels, out_channels, 3, stride, act=act, config=self._config), TIMM_STEM)
        self.add_feature(self._strides.feature_name, out_channels, self._strides.current_stride)
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
        """Appends an inverted residual, and moves the map of its stride to its output."""
        self._blocks += 1
        self._row, self._repeat = (self._row + 1, 0) if opens_row else (self._row, self._repeat + 1)
        shortcut = stride == 1 and self._channels == out_channels
        opens_c5 = stride == 2 and self._strides.nominal_stride == 16
        stride_before = self._strides.current_stride
        stride, dilation = self._strides.advance(stride)

        parts = ["expand"] if expanded != self._channels else []
        parts += ["depthwise", "squeeze_excite", "project"] if squeezed else ["depthwise", "project"]
        aliases = (
            self.torchvision_block(f"features.{self._blocks}", parts),
            timm_block(f"blocks.{self._row}.{self._repeat}", parts),
        )

        in_channels = self._channels
        if opens_c5:
            expand = ({ours: names.pop(f"expand.{ours}") for ours in ("conv", "norm")} for names in aliases)
            self.append(ConvNormAct(in_channels, expanded, act=act, config=self._config), *expand, inner=True)
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
            config=self._config,
        )
        self.append(block, *({f"body.{ours}": theirs for ours, theirs in names.items()} for names in aliases))
        if self._strides.nominal_stride == 8 and "c3" not in self.features:
            self.add_feature("c3_first", out_channels, self._strides.current_stride)
        self.add_feature(self._strides.feature_name, out_channels, self._strides.current_stride)
        self._channels = out_channels

    def add_final(self, out_channels: int, act: Activation, timm: Aliases) -> None:
        """Appends the final 1×1, whose output is the map ``final``, and initialises the weights.

        Args:
            out_channels: number of its output channels.
            act: its activation.
            timm: names of our modules inside the layer → timm's full names.
        """
        self._blocks += 1
        self._append_conv(ConvNormAct(self._channels, out_channels, act=act, config=self._config), timm)
        self.add_feature("final", out_channels, self._strides.current_stride)
        init_convolutions(self)

    @staticmethod
    @abstractmethod
    def torchvision_block(prefix: str, parts: list[str]) -> dict[str, str]:
        """Returns, for a block of these ``parts``, names of our modules inside the block → torchvision's full names."""

    def _append_conv(self, layer: ConvNormAct, timm: Aliases) -> None:
        self.append(layer, {"conv": f"features.{self._blocks}.0", "norm": f"features.{self._blocks}.1"}, timm)


def timm_block(prefix: str, parts: Sequence[str]) -> dict[str, str]:
    """Returns, for a block of these ``parts``, names of our modules inside the block → timm's full names.

    Args:
        prefix: timm's name of the block.
        parts: the modules of an inverted residual, in order; without "expand" it is a depthwise separable block.
    """
    convolutions = TIMM_INVERTED if "expand" in parts else TIMM_SEPARABLE
    names: dict[str, str] = {}
    for part in parts:
        if part == "squeeze_excite":
            names |= {f"{part}.{layer}": f"{prefix}.se.conv_{layer}" for layer in ("reduce", "expand")}
        else:
            norm = f"bn{list(convolutions).index(part) + 1}"
            names |= {f"{part}.conv": f"{prefix}.{convolutions[part]}", f"{part}.norm": f"{prefix}.{norm}"}
    return names
