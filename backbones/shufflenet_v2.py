"""ShuffleNetV2: channel split, one branch of convolutions, concatenation and channel shuffle (arXiv 1807.11164)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, init_convolutions
from .contract import Variant, Weights, check_choice
from .sequential import Aliases, SequentialBackbone


class Channels(NamedTuple):
    """A column of the paper's table 5; every stage after stage 2 doubles the channels."""

    stage_2: int
    final: int


STEM = 24
REPEATS = (4, 8, 4)
CHANNELS = {
    0.5: Channels(48, 1024),
    1.0: Channels(116, 1024),
    1.5: Channels(176, 1024),
    2.0: Channels(244, 2048),
}

VARIANTS = (
    Variant({"width": 0.5}, 1_366_792, 40.48, top1=60.3),
    Variant({}, 2_278_604, 144.91, top1=69.4),
    Variant({"width": 1.5}, 3_503_624, 295.76, top1=72.6),
    Variant({"width": 2.0}, 7_393_996, 583.25, top1=74.9),
)

WEIGHTS = {
    "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1": Weights(60.55, {"width": (0.5,)}),
    "ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1": Weights(69.36),
    "ShuffleNet_V2_X1_5_Weights.IMAGENET1K_V1": Weights(73.00, {"width": (1.5,)}),
    "ShuffleNet_V2_X2_0_Weights.IMAGENET1K_V1": Weights(76.23, {"width": (2.0,)}),
}


class ShuffleUnit(nn.Module):
    """Two branches, concatenated and shuffled (figure 3 c and d).

    The main branch is a 1×1, a depthwise 3×3 without activation, and a 1×1. The first unit of a stage changes the
    number of channels and has the ``stride``. Both its branches take all channels, and its shortcut is a depthwise 3×3
    and a 1×1. In the other units each branch takes half of the channels, and the shortcut is the identity.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        dilation: int,
        act: Activation,
        config: ConvConfig,
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.opens_stage = in_channels != out_channels
        main_channels = in_channels if self.opens_stage else half
        self.shortcut = nn.Sequential()
        if self.opens_stage:
            self.shortcut.add_module("depthwise", ConvNormAct.depthwise(in_channels, 3, stride, dilation, None, config))
            self.shortcut.add_module("project", ConvNormAct(in_channels, half, act=act, config=config))
        self.main = nn.Sequential()
        self.main.add_module("first", ConvNormAct(main_channels, half, act=act, config=config))
        self.main.add_module("depthwise", ConvNormAct.depthwise(half, 3, stride, dilation, None, config))
        self.main.add_module("last", ConvNormAct(half, half, act=act, config=config))

    def forward(self, x: Tensor) -> Tensor:
        shortcut, main = (x, x) if self.opens_stage else x.chunk(2, dim=1)
        # channel_shuffle keeps channels-last memory; reshaping by hand would not
        return F.channel_shuffle(torch.cat((self.shortcut(shortcut), self.main(main)), dim=1), 2)


class ShuffleNetV2(SequentialBackbone):
    """ShuffleNetV2 at its four published widths.

    Maps at width 1: c1 and c2 24, c3 116, c4 232, c5 464, final 1024 channels. c2 is the pooled stem.

    Args:
        width: 0.5, 1, 1.5 or 2; each has its own channels (table 5).
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: used after every convolution except the depthwise ones.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: an argument has an unknown value.
    """

    shape_arguments = ("width", "in_channels")
    variants: ClassVar = VARIANTS
    published: ClassVar = WEIGHTS

    def __init__(
        self,
        width: float = 1.0,
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation = "relu",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__(width, in_channels)
        check_choice("width", width, CHANNELS)
        config = ConvConfig("symmetric", norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        stem = ConvNormAct(in_channels, STEM, 3, strides.advance(2)[0], act=activation, config=config)
        self.append(stem, sequential_names("conv1"))
        self.add_feature(strides.feature_name, STEM, strides.current_stride)
        self.append(nn.MaxPool2d(3, strides.advance(2)[0], padding=1))
        self.add_feature(strides.feature_name, STEM, strides.current_stride)

        build_unit = partial(ShuffleUnit, act=activation, config=config)
        before, channels = STEM, CHANNELS[width].stage_2
        for stage, repeats in enumerate(REPEATS, start=2):
            for repeat in range(repeats):
                stride, dilation = strides.advance(2 if repeat == 0 else 1)
                unit = build_unit(before, channels, stride=stride, dilation=dilation)
                self.append(unit, unit_names(f"stage{stage}.{repeat}", opens_stage=repeat == 0))
                before = channels
            self.add_feature(strides.feature_name, channels, strides.current_stride)
            channels *= 2
        final = CHANNELS[width].final
        self.append(ConvNormAct(before, final, act=activation, config=config), sequential_names("conv5"))
        self.add_feature("final", final, strides.current_stride)
        init_convolutions(self)
        self.default_features = {
            "classification": ("final",),
            "detection": ("c4", "final"),
            "segmentation": ("c3", "c5"),
        }


def sequential_names(prefix: str, conv: int = 0) -> Aliases:
    """Returns names of the modules of a ``ConvNormAct`` → torchvision's; ``conv`` is its index in ``prefix``."""
    return {"conv": f"{prefix}.{conv}", "norm": f"{prefix}.{conv + 1}"}


def unit_names(prefix: str, opens_stage: bool) -> Aliases:
    """Returns names of the modules of a unit → torchvision's names."""
    positions = {"main.first": 0, "main.depthwise": 3, "main.last": 5}
    if opens_stage:
        positions |= {"shortcut.depthwise": 0, "shortcut.project": 2}
    return {
        f"{part}.{ours}": theirs
        for part, conv in positions.items()
        for ours, theirs in sequential_names(f"{prefix}.branch{1 if part.startswith('shortcut') else 2}", conv).items()
    }
