"""MobileNetV2: inverted residuals and linear bottlenecks (Sandler et al. 2018, arXiv 1801.04381)."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from .blocks import Activation, ConvConfig, Padding, round_channels
from .contract import Variant, Weights, check_choice
from .inverted_residual import InvertedResidualBackbone

Tail = Literal["full", "detection", "segmentation"]


class Row(NamedTuple):
    """A row of the paper's table 2: ``repeats`` blocks, the first with ``stride``."""

    expansion: int
    channels: int
    repeats: int
    stride: int


BODY = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
)
LAST_ROWS = (Row(6, 160, 3, 2), Row(6, 320, 1, 1))
HALVED_ROWS = (Row(6, 80, 3, 2), Row(6, 160, 1, 1))
#: for each tail, the rows at stride 32 and the least width of the final 1×1. MobileNetV3's paper halves the rows for
#: segmentation (RF2, table 7); its detectors with V2 below width 1 have a narrower final 1×1 (table 6).
TAILS: dict[str, tuple[tuple[Row, Row], float]] = {
    "full": (LAST_ROWS, 1.0),
    "detection": (LAST_ROWS, 0.0),
    "segmentation": (HALVED_ROWS, 1.0),
}

VARIANTS = (
    Variant({"width": 1.4}, 6_108_776, 582.20, top1=74.7),
    Variant({}, 3_504_872, 300.77, top1=72.0),
    Variant({"width": 0.75}, 2_636_424, 209.07, top1=69.8),
    Variant({"width": 0.5}, 1_968_680, 97.13, top1=65.4),
    Variant({"width": 0.35}, 1_677_128, 59.29, top1=60.3),
    Variant({"tail": "segmentation"}),
    Variant({"tail": "detection", "width": 0.5}),
    Variant({"tail": "detection", "width": 0.35}),
)

# from width 1 on, the final 1×1 is the same in both
WIDE: dict[str, tuple[object, ...]] = {"tail": ("full", "detection")}

WEIGHTS = {
    "MobileNet_V2_Weights.IMAGENET1K_V2": Weights(72.15, WIDE),
    "MobileNet_V2_Weights.IMAGENET1K_V1": Weights(71.88, WIDE),
    "mobilenetv2_140.ra_in1k": Weights(None, WIDE | {"width": (1.4,)}),
    "mobilenetv2_100.ra_in1k": Weights(None, WIDE),
    "mobilenetv2_050.lamb_in1k": Weights(None, {"width": (0.5,)}),
}


class MobileNetV2(InvertedResidualBackbone):
    """MobileNetV2 at any width.

    Maps at width 1: c1 16, c2 24, c3_first and c3 32, c4 96, c4_expansion 576, c5 320, final 1280 channels.

    Args:
        width: multiplies the channels of every layer, e.g. 0.5; the final 1×1 has at least 1280 (section 6.1).
        tail: "full"; "detection" lets widths below 1 narrow the final 1×1 as well, as in published SSDLite networks;
            "segmentation" halves the channels at stride 32.
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: used after every convolution except the linear ones.
        padding: "same" for weights trained with TensorFlow, otherwise "symmetric".
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics; detection recipes use 0.03.

    Raises:
        UserError: ``width`` is not positive, or ``tail``, ``output_stride`` or ``activation`` is unknown.
    """

    shape_arguments = ("width", "tail", "in_channels")
    variants: ClassVar = VARIANTS
    published: ClassVar = WEIGHTS

    def __init__(
        self,
        width: float = 1.0,
        tail: Tail = "full",
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation = "relu6",
        padding: Padding = "symmetric",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__(width, in_channels, output_stride, ConvConfig(padding, norm_eps, norm_momentum))
        check_choice("tail", tail, TAILS)
        tail_rows, least_width = TAILS[tail]
        channels = round_channels(32 * width)
        self.add_stem(channels, activation)
        for row in (*BODY, *tail_rows):
            for repeat in range(row.repeats):
                expanded = channels * row.expansion
                channels = round_channels(row.channels * width)
                stride = row.stride if repeat == 0 else 1
                self.add_block(expanded, channels, opens_row=repeat == 0, kernel=3, stride=stride, act=activation)
        self.add_final(round_channels(1280 * max(least_width, width)), activation, {"conv": "conv_head", "norm": "bn2"})
        self.default_features = {
            "classification": ("final",),
            "detection": ("c4_expansion", "final"),
            "segmentation": ("c3", "c5"),
        }

    @staticmethod
    def torchvision_block(prefix: str, parts: list[str]) -> dict[str, str]:
        names: dict[str, str] = {}
        for k, part in enumerate(parts):
            conv, norm = (k, k + 1) if part == "project" else (f"{k}.0", f"{k}.1")
            names |= {f"{part}.conv": f"{prefix}.conv.{conv}", f"{part}.norm": f"{prefix}.conv.{norm}"}
        return names
