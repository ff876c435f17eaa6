"""MobileNetV3: searched inverted residuals with hard swish and squeeze-excite (arXiv 1905.02244)."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from .blocks import Activation, ConvConfig, Padding, round_channels
from .contract import INCEPTION, UNIT, Variant, Weights, check_choice
from .inverted_residual import InvertedResidualBackbone

Size = Literal["large", "small"]
Tail = Literal["full", "detection", "segmentation"]


class Row(NamedTuple):
    """A row of the paper's tables 1 and 2; ``swish`` is hard swish instead of ReLU, ``gate`` is squeeze-excite."""

    kernel: int
    expanded: int
    channels: int
    gate: bool
    swish: bool
    stride: int


class Table(NamedTuple):
    """A network: the rows up to stride 16, and for each tail the rows and the final 1×1 at stride 32."""

    body: tuple[Row, ...]
    tails: dict[str, tuple[tuple[Row, ...], int]]


def make_tail(first: int, expanded: int, channels: int) -> tuple[tuple[Row, ...], int]:
    """Returns the rows at stride 32, and the channels of the final 1×1, which equal the last expansion's."""
    return (
        Row(5, first, channels, True, True, 2),
        Row(5, expanded, channels, True, True, 1),
        Row(5, expanded, channels, True, True, 1),
    ), expanded


# The paper has two reduced tails. For detection (the rows with † in table 6) the first expansion keeps its width; for
# segmentation (RF2, table 7) it is halved as well.
TABLES: dict[str, Table] = {
    "large": Table(
        body=(
            Row(3, 16, 16, False, False, 1),
            Row(3, 64, 24, False, False, 2),
            Row(3, 72, 24, False, False, 1),
            Row(5, 72, 40, True, False, 2),
            Row(5, 120, 40, True, False, 1),
            Row(5, 120, 40, True, False, 1),
            Row(3, 240, 80, False, True, 2),
            Row(3, 200, 80, False, True, 1),
            Row(3, 184, 80, False, True, 1),
            Row(3, 184, 80, False, True, 1),
            Row(3, 480, 112, True, True, 1),
            Row(3, 672, 112, True, True, 1),
        ),
        tails={
            "full": make_tail(672, 960, 160),
            "detection": make_tail(672, 480, 80),
            "segmentation": make_tail(336, 480, 80),
        },
    ),
    "small": Table(
        body=(
            Row(3, 16, 16, True, False, 2),
            Row(3, 72, 24, False, False, 2),
            Row(3, 88, 24, False, False, 1),
            Row(5, 96, 40, True, True, 2),
            Row(5, 240, 40, True, True, 1),
            Row(5, 240, 40, True, True, 1),
            Row(5, 120, 48, True, True, 1),
            Row(5, 144, 48, True, True, 1),
        ),
        tails={
            "full": make_tail(288, 576, 96),
            "detection": make_tail(288, 288, 48),
            "segmentation": make_tail(144, 288, 48),
        },
    ),
}


# Top-1 is that of the paper's final version: table 3, and table 9 for width 1.25, which table 3 does not have. The
# minimalistic networks are only in the README of the authors' release; there, their classifiers use ReLU as well.
LARGE_HEAD, SMALL_HEAD, RELU = {"hidden_dim": 1280}, {"hidden_dim": 1024}, {"activation": "relu"}
VARIANTS = (
    Variant({"width": 1.25}, 7_551_976, 355.22, 76.6, classifier=LARGE_HEAD),
    Variant({}, 5_483_032, 216.59, 75.2, classifier=LARGE_HEAD),
    Variant({"width": 0.75}, 3_993_528, 154.56, 73.3, classifier=LARGE_HEAD),
    Variant({"minimalistic": True}, 3_924_288, 209.14, 72.3, classifier=LARGE_HEAD | RELU),
    Variant({"tail": "detection"}),
    Variant({"tail": "segmentation"}),
    Variant({"variant": "small", "width": 1.25}, 3_205_384, 90.80, 70.4, classifier=SMALL_HEAD),
    Variant({"variant": "small"}, 2_542_856, 56.51, 67.4, classifier=SMALL_HEAD),
    Variant({"variant": "small", "width": 0.75}, 2_041_872, 43.40, 65.4, classifier=SMALL_HEAD),
    Variant({"variant": "small", "minimalistic": True}, 2_044_736, 52.29, 61.9, classifier=SMALL_HEAD | RELU),
    Variant({"variant": "small", "tail": "detection"}),
    Variant({"variant": "small", "tail": "segmentation"}),
)

SWISH = {"activation": ("hardswish", None)}
TIMM = {"norm_eps": (1e-5,), **SWISH}
TENSORFLOW = {"padding": ("same",), **SWISH}
MINIMAL = {"padding": ("same",), "minimalistic": (True,), "activation": ("relu", None)}
SMALL: dict[str, tuple[object, ...]] = {"variant": ("small",)}
NARROW: dict[str, tuple[object, ...]] = {"width": (0.75,)}
WEIGHTS = {
    "MobileNet_V3_Large_Weights.IMAGENET1K_V2": Weights(75.27, SWISH),
    "MobileNet_V3_Large_Weights.IMAGENET1K_V1": Weights(74.04, SWISH),
    "MobileNet_V3_Small_Weights.IMAGENET1K_V1": Weights(67.67, SMALL | SWISH),
    "mobilenetv3_large_100.ra4_e3600_r224_in1k": Weights(None, TIMM, INCEPTION),
    "mobilenetv3_large_100.ra_in1k": Weights(None, TIMM),
    "mobilenetv3_large_100.miil_in21k_ft_in1k": Weights(None, TIMM, UNIT),
    "mobilenetv3_large_100.miil_in21k": Weights(None, TIMM, UNIT),
    "mobilenetv3_small_100.lamb_in1k": Weights(None, SMALL | TIMM),
    "mobilenetv3_small_075.lamb_in1k": Weights(None, SMALL | NARROW | TIMM),
    "tf_mobilenetv3_large_100.in1k": Weights(None, TENSORFLOW, INCEPTION),
    "tf_mobilenetv3_large_075.in1k": Weights(None, NARROW | TENSORFLOW, INCEPTION),
    "tf_mobilenetv3_large_minimal_100.in1k": Weights(None, MINIMAL, INCEPTION),
    "tf_mobilenetv3_small_100.in1k": Weights(None, SMALL | TENSORFLOW, INCEPTION),
    "tf_mobilenetv3_small_075.in1k": Weights(None, SMALL | NARROW | TENSORFLOW, INCEPTION),
    "tf_mobilenetv3_small_minimal_100.in1k": Weights(None, SMALL | MINIMAL, INCEPTION),
}


class MobileNetV3(InvertedResidualBackbone):
    """MobileNetV3 Large and Small at any width, with any tail, optionally minimalistic.

    Maps of Large at width 1: c1 16, c2 24, c3_first and c3 40, c4 112, c4_expansion 672, c5 160, final 960 channels.
    Maps of Small: c1 16, c2 16, c3_first and c3 24, c4 48, c4_expansion 288, c5 96, final 576 channels.

    Args:
        variant: "large" (table 1) or "small" (table 2).
        width: multiplies the channels of every layer, e.g. 0.75.
        tail: "full"; "detection" halves the channels after c4_expansion (table 6, †); "segmentation" halves that
            expansion as well (table 7, RF2).
        minimalistic: only 3×3 kernels and ReLU, no squeeze-excite; for hardware that supports nothing else. Its
            classifier has ReLU as well: set the head's ``activation`` to "relu".
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: replaces the tables' hard swish; None is hard swish, or ReLU if minimalistic.
        padding: "same" for weights trained with TensorFlow, otherwise "symmetric".
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics; detection recipes use 0.03.

    Raises:
        UserError: an argument has an unknown value, or ``width`` is not positive.
    """

    shape_arguments = ("variant", "width", "tail", "minimalistic", "in_channels")
    variants: ClassVar = VARIANTS
    published: ClassVar = WEIGHTS

    def __init__(
        self,
        variant: Size = "large",
        width: float = 1.0,
        tail: Tail = "full",
        minimalistic: bool = False,
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation | None = None,
        padding: Padding = "symmetric",
        norm_eps: float = 1e-3,
        norm_momentum: float = 0.01,
    ) -> None:
        check_choice("variant", variant, TABLES)
        table = TABLES[variant]
        check_choice("tail", tail, table.tails)
        super().__init__(width, in_channels, output_stride, ConvConfig(padding, norm_eps, norm_momentum))
        swish = activation or ("relu" if minimalistic else "hardswish")
        tail_rows, final = table.tails[tail]

        base = 16  # channels before the row at width 1; expansions are ratios to it, applied after rounding
        channels = round_channels(base * width)
        self.add_stem(channels, swish)
        for row in (*table.body, *tail_rows):
            expanded = round_channels(channels * row.expanded / base)
            opens_row = row.stride == 2 or row.channels != base or not self._blocks
            base, channels = row.channels, round_channels(row.channels * width)
            kernel = 3 if minimalistic else row.kernel
            squeezed = round_channels(expanded / 4) if row.gate and not minimalistic else 0
            act = swish if row.swish else "relu"
            self.add_block(
                expanded, channels, opens_row=opens_row, kernel=kernel, stride=row.stride, squeezed=squeezed, act=act
            )
        timm = f"blocks.{self._row + 1}.0"
        self.add_final(round_channels(final * width), swish, {"conv": f"{timm}.conv", "norm": f"{timm}.bn1"})
        self.default_features = {
            "classification": ("final",),
            "detection": ("c4_expansion", "final"),
            "segmentation": ("c3", "final"),
        }

    @staticmethod
    def torchvision_block(prefix: str, parts: list[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for k, part in enumerate(parts):
            pair = {"reduce": "fc1", "expand": "fc2"} if part == "squeeze_excite" else {"conv": "0", "norm": "1"}
            names |= {f"{part}.{ours}": f"{prefix}.block.{k}.{theirs}" for ours, theirs in pair.items()}
        return names
