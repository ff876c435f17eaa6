"""ShuffleNetV1: grouped 1×1 convolutions with their channels shuffled between (Zhang et al. 2017, arXiv 1707.01083)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, activation, init_convolutions
from .published import Variant
from .sequential import SequentialBackbone

Groups = Literal[1, 2, 3, 4, 8]

# channels of stage 2 at width 1 by the number of groups; each further stage has twice as many (table 1)
CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
REPEATS = (4, 8, 4)
WIDTHS = (0.25, 0.5, 1.0, 1.5, 2.0)

# the paper's stem has 24 channels; these are those of the authors' release, who give 8 groups 16 of them at width 0.5
STEMS = {1.5: 24, 2.0: 48}
STEMS_OF_8_GROUPS = STEMS | {0.5: 16}


def variant(top1: float | None, parameters: int, multiply_adds: float, **arguments: Any) -> Variant:
    """A row of ``VARIANTS``."""
    return Variant(arguments, parameters, multiply_adds, top1)


# accuracies are 100 − the errors of tables 2 and 5; most networks at widths 1.5 and 2 were not published
VARIANTS = (
    variant(42.9, 209_746, 11.00, groups=1, width=0.25),
    variant(43.2, 267_026, 11.16, groups=2, width=0.25),
    variant(45.0, 305_902, 11.01, groups=3, width=0.25),
    variant(45.8, 339_252, 12.39, groups=4, width=0.25, stem=8),
    variant(47.3, 454_504, 12.43, groups=8, width=0.25, stem=8),
    variant(54.9, 534_484, 38.52, groups=1, width=0.5),
    variant(55.6, 643_932, 38.57, groups=2, width=0.5),
    variant(56.8, 718_324, 37.59, groups=3, width=0.5),
    variant(58.4, 778_040, 37.47, groups=4, width=0.5),
    variant(57.7, 1_011_448, 40.47, groups=8, width=0.5),
    variant(66.4, 1_531_936, 143.08, groups=1),
    variant(67.3, 1_733_848, 140.84, groups=2),
    variant(67.4, 1_865_728, 137.46),
    variant(67.2, 1_968_344, 134.34, groups=4),
    variant(67.6, 2_434_768, 138.37, groups=8),
    variant(None, 2_993_032, 308.10, groups=1, width=1.5),
    variant(None, 3_272_312, 302.19, groups=2, width=1.5),
    variant(71.5, 3_442_168, 292.44, width=1.5),
    variant(None, 3_574_032, 285.77, groups=4, width=1.5),
    variant(None, 4_269_952, 290.19, groups=8, width=1.5),
    variant(None, 4_918_744, 550.33, groups=1, width=2.0),
    variant(None, 5_257_896, 539.14, groups=2, width=2.0),
    variant(73.7, 5_450_776, 524.05, width=2.0),
    variant(None, 5_593_528, 510.29, groups=4, width=2.0),
    variant(None, 6_522_232, 521.94, groups=8, width=2.0),
)


class ShuffleUnit(nn.Module):
    """A grouped 1×1, the shuffle, a depthwise 3×3 without activation, a grouped 1×1; then the shortcut (figure 2).

    The first unit of a stage takes ``stride`` and concatenates its average-pooled input (figure 2 c); the others add
    their input (figure 2 b).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        groups_of_first: int,
        stride: int,
        dilation: int,
        opens_stage: bool,
        act: Activation,
        style: ConvConfig,
    ) -> None:
        super().__init__()
        squeezed = -(-max(1, out_channels // 4) // groups) * groups  # a quarter, or the next multiple of the groups
        added = out_channels - in_channels if opens_stage else out_channels
        self.groups = groups
        self.squeeze = ConvNormAct(in_channels, squeezed, groups=groups_of_first, act=act, style=style)
        self.depthwise = ConvNormAct(
            squeezed, squeezed, 3, stride, dilation=dilation, groups=squeezed, act=None, style=style
        )
        self.expand = ConvNormAct(squeezed, added, groups=groups, act=None, style=style)
        self.pool = nn.AvgPool2d(3, stride, padding=1) if opens_stage else None
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        # the library's shuffle keeps channels-last memory, where reshaping by hand would leave it
        shuffled = F.channel_shuffle(self.squeeze(x), self.groups)
        added = self.expand(self.depthwise(shuffled))
        return self.act(x + added if self.pool is None else torch.cat((self.pool(x), added), dim=1))


class ShuffleNetV1(SequentialBackbone):
    """ShuffleNetV1 with any of the paper's numbers of groups, at any width that they divide.

    Maps at width 1 with 3 groups: c1 and c2 24, c3 240, c4 480, c5 960 channels. c2 is the pooled stem, and there is no
    further convolution before the pooling.

    Args:
        groups: of the 1×1 convolutions: 1, 2, 3, 4 or 8. The first of all has one group (section 3.2).
        width: multiplies the channels of every stage.
        stem: channels of the first convolution; None for those of the authors' release, 24 · width at other widths.
        output_stride: 32, 16 or 8; strides beyond it become dilation.
        in_channels: channels of the images.
        activation: after the first 1×1 of each unit, and after its shortcut.
        norm_eps: epsilon of the batch norms.
        norm_momentum: momentum of the batch norms.

    Raises:
        ValueError: ``groups`` do not divide the channels, or a value is not on offer.
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
        if groups not in CHANNELS:
            raise UserError(f"ShuffleNetV1 has {', '.join(map(str, CHANNELS))} groups to choose from, not {groups}.")
        if stem is not None and stem < 1:
            raise UserError(f"stem must be at least 1, not {stem}.")
        if not fits(groups, width, stem):
            raise UserError(misfit(groups, width, stem))
        stem = stem or published_stem(groups, width)
        style = ConvConfig("symmetric", norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        self.append(ConvNormAct(in_channels, stem, 3, strides.take(2)[0], act=activation, style=style))
        self.add_feature(strides.position, stem, strides.actual)
        self.append(nn.MaxPool2d(3, strides.take(2)[0], padding=1))
        self.add_feature(strides.position, stem, strides.actual)

        before, channels = stem, stage_2(groups, width)
        for stage, repeats in enumerate(REPEATS):
            for repeat in range(repeats):
                stride, dilation = strides.take(2 if repeat == 0 else 1)
                unit = ShuffleUnit(
                    before,
                    channels,
                    groups=groups,
                    groups_of_first=1 if stage == repeat == 0 else groups,
                    stride=stride,
                    dilation=dilation,
                    opens_stage=repeat == 0,
                    act=activation,
                    style=style,
                )
                self.append(unit)
                before = channels
            self.add_feature(strides.position, channels, strides.actual)
            channels *= 2
        init_convolutions(self)
        self.default_features = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}


def stage_2(groups: int, width: float) -> int:
    """Channels of the first stage."""
    return round(CHANNELS[groups] * width)


def published_stem(groups: int, width: float) -> int:
    """Channels of the first convolution in the authors' release; in proportion to the width where that has none."""
    return (STEMS_OF_8_GROUPS if groups == 8 else STEMS).get(width, max(1, round(24 * width)))


def fits(groups: int, width: float, stem: int | None) -> bool:
    """Whether ``groups`` divide what each stage puts out, and what its first unit adds to its pooled input."""
    channels = stage_2(groups, width)
    added = channels - (stem or published_stem(groups, width))
    return added > 0 and channels % groups == added % groups == 0


def misfit(groups: int, width: float, stem: int | None) -> str:
    """Why the groups do not divide the channels, and the nearest that would do if all else is kept."""
    channels, taken = stage_2(groups, width), stem or published_stem(groups, width)
    near = sorted(range(1, channels), key=lambda other: (abs(other - taken), other))
    near_widths = sorted(WIDTHS, key=lambda other: abs(other - width))
    near_counts = sorted(CHANNELS, key=lambda other: abs(other - groups))
    stems = [f"stem={other}" for other in near if fits(groups, width, other)]
    widths = [f"width={other}" for other in near_widths if fits(groups, other, stem)]
    counts = [f"groups={other}" for other in near_counts if fits(other, width, stem)]
    remedies = [*stems[:2], *widths[:1], *counts[:1]] or ["width=1.0 without a stem"]  # where all groups are published
    return (
        f"ShuffleNetV1 with groups={groups}, width={width} and stem={taken} cannot be built: the first stage would "
        f"have {channels} channels, and both they and their excess over the stem have to be positive multiples of "
        f"{groups}: give {' or '.join(remedies)}."
    )
