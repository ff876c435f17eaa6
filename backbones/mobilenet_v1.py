"""MobileNetV1: depthwise separable convolutions (Howard et al. 2017, arXiv 1704.04861)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from torch import nn

from .blocks import Activation, ConvConfig, ConvNormAct, Padding, StrideTracker, init_convolutions, round_channels
from .contract import INCEPTION, Variant, Weights
from .inverted_residual import TIMM_STEM, timm_block
from .sequential import SequentialBackbone


class Row(NamedTuple):
    """Rows of the paper's table 1: ``repeats`` separable convolutions, the first with ``stride``."""

    channels: int
    repeats: int
    stride: int


# the table also prints stride 2 for the last depthwise convolution, but its input and output are both 7×7 there
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
    """Depthwise separable convolution: a depthwise 3×3 and a 1×1, each with norm and activation (figure 3)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, dilation: int, act: Activation, config: ConvConfig
    ) -> None:
        super().__init__()
        self.depthwise = ConvNormAct.depthwise(in_channels, 3, stride, dilation, act, config)
        self.project = ConvNormAct(in_channels, out_channels, act=act, config=config)


class MobileNetV1(SequentialBackbone):
    """MobileNetV1 at any width (the paper's α).

    Maps at width 1: c1 64, c2 128, c3 256, c4 512, c5 1024 channels. No convolution follows c5.

    Args:
        width: multiplies the channels of every layer, e.g. 0.5 for about a quarter of the cost (section 3.3).
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: "relu" as in the paper; weights published by TensorFlow, Keras and timm need "relu6".
        padding: "same" for weights trained with TensorFlow, otherwise "symmetric".
        norm_eps: epsilon of the batch norms; 1e-3 for weights trained with TensorFlow.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.

    Raises:
        UserError: ``width`` is not positive, or ``output_stride``, ``activation`` or ``padding`` is unknown.
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
        config = ConvConfig(padding, norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        stride, _ = strides.advance(2)
        channels = round_channels(32 * width)
        self.append(ConvNormAct(in_channels, channels, 3, stride, act=activation, config=config), TIMM_STEM)
        for stage, row in enumerate(ROWS):
            for repeat in range(row.repeats):
                in_channels, channels = channels, round_channels(row.channels * width)
                stride, dilation = strides.advance(row.stride if repeat == 0 else 1)
                block = DepthwiseSeparable(
                    in_channels, channels, stride=stride, dilation=dilation, act=activation, config=config
                )
                self.append(block, timm_block(f"blocks.{stage}.{repeat}", ("depthwise", "project")))
            self.add_feature(strides.feature_name, channels, strides.current_stride)
        init_convolutions(self)
        self.default_features = {"classification": ("c5",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}
