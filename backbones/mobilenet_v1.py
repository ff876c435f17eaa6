"""MobileNetV1: depthwise separable convolutions (Howard et al. 2017, arXiv 1704.04861)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import nn

from .blocks import Activation, ConvConfig, ConvNormAct, Padding, StrideTracker, init_convolutions, round_channels
from .published import INCEPTION, Variant, Weights
from .sequential import SequentialBackbone
from .timm_names import STEM, block_names


class Row(NamedTuple):
    """Rows of the paper's table 1: ``repeats`` separable convolutions, the first of them with ``stride``."""

    channels: int
    repeats: int
    stride: int


# the table prints stride 2 for the last depthwise convolution as well, whose input and output it gives as 7×7
ROWS = (
    Row(64, 1, 1),
    Row(128, 2, 2),
    Row(256, 2, 2),
    Row(512, 6, 2),
    Row(1024, 2, 2),
)

VARIANTS = (
    Variant({}, 4_231_976, 568.74, top1=70.6),
    Variant({"width": 0.75}, 2_585_560, 325.40, top1=68.4),
    Variant({"width": 0.5}, 1_331_592, 149.50, top1=63.7),
    Variant({"width": 0.25}, 470_072, 41.03, top1=50.6),
)

RELU6 = {"activation": ("relu6",)}
WEIGHTS = {
    "mobilenetv1_100.ra4_e3600_r224_in1k": Weights(75.39, RELU6, INCEPTION),
    "mobilenetv1_125.ra4_e3600_r224_in1k": Weights(None, RELU6 | {"width": (1.25,)}, INCEPTION),
}


class DepthwiseSeparable(nn.Sequential):
    """A depthwise 3×3 and a 1×1, each with norm and activation (figure 3)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, dilation: int, act: Activation, style: ConvConfig
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct(
            in_channels, in_channels, 3, stride, dilation=dilation, groups=in_channels, act=act, style=style
        )
        self.project = ConvNormAct(in_channels, out_channels, act=act, style=style)


class MobileNetV1(SequentialBackbone):
    """MobileNetV1 at any width (the paper's α).

    Maps at width 1: c1 64, c2 128, c3 256, c4 512, c5 1024 channels, with no convolution between c5 and the pooling.

    Args:
        width: multiplies the channels of every layer (section 3.3).
        output_stride: 32, 16 or 8; strides beyond it become dilation.
        in_channels: channels of the images.
        activation: "relu" in the paper; the weights that TensorFlow, Keras and timm publish were trained with "relu6".
        padding: "same" for weights that TensorFlow trained.
        norm_eps: epsilon of the batch norms; 1e-3 for weights that TensorFlow trained.
        norm_momentum: momentum of the batch norms.

    Raises:
        ValueError: ``width`` is not positive, or ``output_stride``, ``activation`` or ``padding`` is not on offer.
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
        padding: Padding = "symmetric",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        super().__init__(width, in_channels)
        style = ConvConfig(padding, norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        stride, _ = strides.take(2)
        channels = round_channels(32 * width)
        self.append(ConvNormAct(in_channels, channels, 3, stride, act=activation, style=style), STEM)
        for stage, row in enumerate(ROWS):
            for repeat in range(row.repeats):
                before, channels = channels, round_channels(row.channels * width)
                stride, dilation = strides.take(row.stride if repeat == 0 else 1)
                block = DepthwiseSeparable(
                    before, channels, stride=stride, dilation=dilation, act=activation, style=style
                )
                self.append(block, block_names(f"blocks.{stage}.{repeat}", ("depthwise", "project")))
            self.add_feature(strides.position, channels, strides.actual)
        init_convolutions(self)
        self.default_features = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}
