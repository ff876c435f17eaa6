"""ShuffleNetV1: grouped 1×1 convolutions with a channel shuffle between (Zhang et al. 2017, arXiv 1707.01083)."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError, check_range
from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, build_activation, init_convolutions
from .contract import Variant, check_choice
from .sequential import SequentialBackbone

Groups = Literal[1, 2, 3, 4, 8]

# channels of stage 2 at width 1 by number of groups; every later stage doubles them (table 1)
CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
REPEATS = (4, 8, 4)
WIDTHS = (0.25, 0.5, 1.0, 1.5, 2.0)

# the paper's stem has 24 channels; these values are from the authors' release (16 for 8 groups at width 0.5)
STEMS = {1.5: 24, 2.0: 48}
STEMS_OF_8_GROUPS = STEMS | {0.5: 16}


def make_variant(top1: float | None, parameters: int, multiply_adds: float, **arguments: Any) -> Variant:
    """Builds a row of ``VARIANTS``."""
    return Variant(arguments, parameters, multiply_adds, top1)


# accuracy is 100 − the error in tables 2 and 5; most networks at widths 1.5 and 2 are not in the paper
VARIANTS = (
    make_variant(42.9, 209_746, 11.00, groups=1, width=0.25),
    make_variant(43.2, 267_026, 11.16, groups=2, width=0.25),
    make_variant(45.0, 305_902, 11.01, groups=3, width=0.25),
    make_variant(45.8, 339_252, 12.39, groups=4, width=0.25, stem=8),
    make_variant(47.3, 454_504, 12.43, groups=8, width=0.25, stem=8),
    make_variant(54.9, 534_484, 38.52, groups=1, width=0.5),
    make_variant(55.6, 643_932, 38.57, groups=2, width=0.5),
    make_variant(56.8, 718_324, 37.59, groups=3, width=0.5),
    make_variant(58.4, 778_040, 37.47, groups=4, width=0.5),
    make_variant(57.7, 1_011_448, 40.47, groups=8, width=0.5),
    make_variant(66.4, 1_531_936, 143.08, groups=1),
    make_variant(67.3, 1_733_848, 140.84, groups=2),
    make_variant(67.4, 1_865_728, 137.46),
    make_variant(67.2, 1_968_344, 134.34, groups=4),
    make_variant(67.6, 2_434_768, 138.37, groups=8),
    make_variant(None, 2_993_032, 308.10, groups=1, width=1.5),
    make_variant(None, 3_272_312, 302.19, groups=2, width=1.5),
    make_variant(71.5, 3_442_168, 292.44, width=1.5),
    make_variant(None, 3_574_032, 285.77, groups=4, width=1.5),
    make_variant(None, 4_269_952, 290.19, groups=8, width=1.5),
    make_variant(None, 4_918_744, 550.33, groups=1, width=2.0),
    make_variant(None, 5_257_896, 539.14, groups=2, width=2.0),
    make_variant(73.7, 5_450_776, 524.05, width=2.0),
    make_variant(None, 5_593_528, 510.29, groups=4, width=2.0),
    make_variant(None, 6_522_232, 521.94, groups=8, width=2.0),
)


class ShuffleUnit(nn.Module):
    """Grouped 1×1, channel shuffle, depthwise 3×3 without activation, grouped 1×1, then the shortcut (figure 2).

    The first unit of a stage, which changes the number of channels, has the ``stride`` and concatenates its
    average-pooled input (figure 2 c). The others add their input (figure 2 b).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        first_groups: int,
        stride: int,
        dilation: int,
        act: Activation,
        config: ConvConfig,
    ) -> None:
        super().__init__()
        squeezed = -(-max(1, out_channels // 4) // groups) * groups  # a quarter, rounded up to a multiple of groups
        opens_stage = in_channels != out_channels
        added = out_channels - in_channels if opens_stage else out_channels
        self.groups = groups
        self.squeeze = ConvNormAct(in_channels, squeezed, groups=first_groups, act=act, config=config)
        self.depthwise = ConvNormAct.depthwise(squeezed, 3, stride, dilation, None, config)
        self.expand = ConvNormAct(squeezed, added, groups=groups, act=None, config=config)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if opens_stage else None
        self.act = build_activation(act)

    def forward(self, x: Tensor) -> Tensor:
        # channel_shuffle keeps channels-last memory; reshaping by hand would not
        shuffled = F.channel_shuffle(self.squeeze(x), self.groups)
        added = self.expand(self.depthwise(shuffled))
        return self.act(x + added if self.pool is None else torch.cat((self.pool(x), added), dim=1))


class ShuffleNetV1(SequentialBackbone):
    """ShuffleNetV1 with 1, 2, 3, 4 or 8 groups, at any width whose channels are divisible by them.

    Maps at width 1 with 3 groups: c1 and c2 24, c3 240, c4 480, c5 960 channels. c2 is the pooled stem. No convolution
    follows c5.

    Args:
        groups: number of groups of the 1×1 convolutions: 1, 2, 3, 4 or 8. The first one has no groups (section 3.2).
        width: multiplies the channels of every stage, e.g. 0.5.
        stem: channels of the first convolution; None takes the authors' release, or 24 · width at widths it lacks.
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: used after the first 1×1 and after the shortcut of each unit.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: ``groups`` does not divide the channels, or an argument has an unknown value.
    """

    shape_arguments = ("groups", "width", "stem", "in_channels")
    variants: ClassVar = VARIANTS

    def __init__(
        self,
        groups: Groups = 3,
        width: float = 1.0,
        stem: int | None = None,
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation = "relu",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__(width, in_channels)
        check_choice("groups", groups, CHANNELS)
        if stem is not None:
            check_range("stem", stem, ge=1)
        if not is_divisible(groups, width, stem):
            raise UserError(describe_indivisible(groups, width, stem))
        stem = stem or default_stem(groups, width)
        config = ConvConfig("symmetric", norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        self.append(ConvNormAct(in_channels, stem, 3, strides.advance(2)[0], act=activation, config=config))
        self.add_feature(strides.feature_name, stem, strides.current_stride)
        self.append(nn.MaxPool2d(3, strides.advance(2)[0], padding=1))
        self.add_feature(strides.feature_name, stem, strides.current_stride)

        build_unit = partial(ShuffleUnit, groups=groups, act=activation, config=config)
        before, channels = stem, first_stage_channels(groups, width)
        for stage, repeats in enumerate(REPEATS):
            for repeat in range(repeats):
                stride, dilation = strides.advance(2 if repeat == 0 else 1)
                first_groups = 1 if stage == repeat == 0 else groups
                self.append(build_unit(before, channels, first_groups=first_groups, stride=stride, dilation=dilation))
                before = channels
            self.add_feature(strides.feature_name, channels, strides.current_stride)
            channels *= 2
        init_convolutions(self)
        self.default_features = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}


def first_stage_channels(groups: int, width: float) -> int:
    """Returns the channels of stage 2, the first stage of units."""
    return round(CHANNELS[groups] * width)


def default_stem(groups: int, width: float) -> int:
    """Returns the channels of the first convolution in the authors' release, or 24 · width at widths it lacks."""
    return (STEMS_OF_8_GROUPS if groups == 8 else STEMS).get(width, max(1, round(24 * width)))


def is_divisible(groups: int, width: float, stem: int | None) -> bool:
    """Whether ``groups`` divides the channels of every stage, and those that its first unit concatenates."""
    channels = first_stage_channels(groups, width)
    added = channels - (stem or default_stem(groups, width))
    return added > 0 and channels % groups == added % groups == 0


def describe_indivisible(groups: int, width: float, stem: int | None) -> str:
    """Explains why ``groups`` does not divide the channels, and names the nearest arguments that would work."""
    channels, used_stem = first_stage_channels(groups, width), stem or default_stem(groups, width)
    near = sorted(range(1, channels), key=lambda other: (abs(other - used_stem), other))
    near_widths = sorted(WIDTHS, key=lambda other: abs(other - width))
    near_counts = sorted(CHANNELS, key=lambda other: abs(other - groups))
    stems = [f"stem={other}" for other in near if is_divisible(groups, width, other)]
    widths = [f"width={other}" for other in near_widths if is_divisible(groups, other, stem)]
    counts = [f"groups={other}" for other in near_counts if is_divisible(other, width, stem)]
    remedies = [*stems[:2], *widths[:1], *counts[:1]] or ["width=1.0 without a stem"]  # which works for all groups
    return (
        f"ShuffleNetV1 with groups={groups}, width={width} and stem={used_stem} cannot be built: the "
        f"{channels} channels of stage 2 and their excess over the stem must be positive multiples of {groups}; use "
        f"{' or '.join(remedies)}."
    )
