"""MobileViT: inverted residuals and transformers over the cells of a map (arXiv 2110.02178)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import check_range
from .blocks import Activation, ConvConfig, ConvNormAct, StrideTracker, build_activation, init_convolutions
from .contract import UNIT, Variant, Weights, check_choice
from .inverted_residual import InvertedResidual
from .sequential import SequentialBackbone

Size = Literal["xxs", "xs", "s"]


class Table(NamedTuple):
    """A network of the paper's table 4.

    Attributes:
        channels: channels of the maps at strides 2, 4, 8, 16 and 32.
        tokens: channels of the transformers at strides 8, 16 and 32.
        expansion: expansion ratio of the inverted residuals.
    """

    channels: tuple[int, int, int, int, int]
    tokens: tuple[int, int, int]
    expansion: int


TABLES: dict[str, Table] = {
    "xxs": Table((16, 24, 48, 64, 80), (64, 80, 96), 2),
    "xs": Table((32, 48, 64, 80, 96), (96, 120, 144), 4),
    "s": Table((32, 64, 96, 128, 160), (144, 192, 240), 4),
}
STEM = 16
LAYERS = (2, 4, 3)  # number of layers of the transformers at strides 8, 16 and 32
HEADS = 4
PATCH = 2  # rows and columns of a patch

LINEAR = {"dropout": 0.1}
VARIANTS = (
    Variant({}, 5_578_632, 2000.8, 78.4, size=256, classifier=LINEAR),
    Variant({"variant": "xs"}, 2_317_848, 1025.9, 74.8, size=256, classifier=LINEAR),
    Variant({"variant": "xxs"}, 1_272_024, 407.4, 69.0, size=256, classifier=LINEAR),
)

WEIGHTS = {
    "mobilevit_s.cvnets_in1k": Weights(78.30, {}, UNIT),
    "mobilevit_xs.cvnets_in1k": Weights(74.62, {"variant": ("xs",)}, UNIT),
    "mobilevit_xxs.cvnets_in1k": Weights(68.94, {"variant": ("xxs",)}, UNIT),
}


class TransformerLayer(nn.Module):
    """Pre-norm transformer layer: self-attention and an MLP of twice the width, each with a residual connection.

    In training, ``dropout`` is the probability with which an output of the attention and of the MLP is dropped.
    """

    def __init__(self, channels: int, act: Activation, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.norm2 = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, 2 * channels)
        self.act = build_activation(act)
        self.narrow = nn.Linear(2 * channels, channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens ``[B, T, channels]`` → tokens of the same shape."""
        queries, keys, values = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind()
        attended = F.scaled_dot_product_attention(queries, keys, values)
        x = x + self.dropout(self.project(attended.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.narrow(self.act(self.widen(self.norm2(x)))))


class MobileViTBlock(nn.Module):
    """Local convolutions, a transformer over the whole map, and a fusion with the input (figure 1 b).

    A 3×3 and a 1×1 turn cells into tokens. Attention runs among the tokens at the same position in all 2×2 patches. A
    1×1 and a 3×3 fuse the result with the input. A map of odd size is resized to whole patches for the transformer.
    """

    def __init__(
        self,
        channels: int,
        tokens: int,
        layers: int,
        *,
        dilation: int,
        act: Activation,
        dropout: float,
        config: ConvConfig,
    ) -> None:
        super().__init__()
        self.local = ConvNormAct(channels, channels, 3, dilation=dilation, act=act, config=config)
        self.embed = nn.Conv2d(channels, tokens, 1, bias=False)
        self.transformer = nn.Sequential(*(TransformerLayer(tokens, act, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(tokens)
        self.project = ConvNormAct(tokens, channels, act=act, config=config)
        self.fuse = ConvNormAct(2 * channels, channels, 3, act=act, config=config)

    def forward(self, x: Tensor) -> Tensor:
        cells = self.embed(self.local(x))
        size = (cells.shape[2], cells.shape[3])
        whole = (-(-size[0] // PATCH) * PATCH, -(-size[1] // PATCH) * PATCH)
        if whole != size:
            cells = F.interpolate(cells, whole, mode="bilinear", align_corners=False)
        cells = fold(self.norm(self.transformer(unfold(cells))), whole)
        if whole != size:
            cells = F.interpolate(cells, size, mode="bilinear", align_corners=False)
        return self.fuse(torch.cat((x, self.project(cells)), dim=1))


def unfold(cells: Tensor) -> Tensor:
    """Splits a map into sequences, one for each position in a 2×2 patch: ``[N, C, H, W]`` → ``[N·4, H/2·W/2, C]``."""
    patches = cells.unflatten(3, (-1, PATCH)).unflatten(2, (-1, PATCH))  # N, C, rows, 2, columns, 2
    return patches.permute(0, 3, 5, 2, 4, 1).flatten(3, 4).flatten(0, 2)


def fold(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Inverts :func:`unfold` for a map of ``size``; the result is channels-last in memory."""
    rows, columns = size[0] // PATCH, size[1] // PATCH
    patches = tokens.unflatten(1, (rows, columns)).unflatten(0, (-1, PATCH, PATCH))  # N, 2, 2, rows, columns, C
    return patches.permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


class MobileViT(SequentialBackbone):
    """MobileViT-XXS, XS and S, at any input size.

    Maps of S: c1 32, c2 64, c3 96, c4 128, c5 160, final 640 channels.

    Args:
        variant: "xxs", "xs" or "s", from the smallest to the largest (table 4).
        output_stride: stride of the coarsest map: 32, or 16 or 8 for finer maps (segmentation uses 16). Layers that
            lose their stride are dilated instead.
        in_channels: number of channels of the images, e.g. 1 for greyscale.
        activation: used after every convolution except the linear ones, and in the transformers.
        norm_eps: epsilon of the batch norms; change it only to match pretrained weights.
        norm_momentum: weight of each new batch in the running statistics of the batch norms.
        dropout: probability with which an output of the attention and of the MLP of each transformer layer is dropped
            in training. The default is that of the authors' release (CVNets) for ImageNet, COCO and Pascal VOC.

    Raises:
        UserError: an argument has an unknown value, or ``dropout`` is out of range.
    """

    shape_arguments = ("variant", "in_channels")
    variants: ClassVar = VARIANTS
    published: ClassVar = WEIGHTS

    def __init__(
        self,
        variant: Size = "s",
        output_stride: int = 32,
        in_channels: int = 3,
        activation: Activation = "silu",
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(1.0, in_channels)
        check_choice("variant", variant, TABLES)
        check_range("dropout", dropout, ge=0, lt=1)
        table = TABLES[variant]
        config = ConvConfig("symmetric", norm_eps, norm_momentum)
        strides = StrideTracker(output_stride)
        stem = ConvNormAct(in_channels, STEM, 3, strides.advance(2)[0], act=activation, config=config)
        self.append(stem, conv_names("stem"))

        build_block = partial(InvertedResidual, act=activation, config=config)
        build_vit = partial(MobileViTBlock, act=activation, dropout=dropout, config=config)
        before = STEM
        for stage, channels in enumerate(table.channels):
            # inverted residuals: one at stride 2, three at stride 4, and one before each transformer
            for repeat in range(3 if stage == 1 else 1):
                nominal = 2 if stage > 0 and repeat == 0 else 1
                stride, dilation = strides.advance(nominal)
                expanded = before * table.expansion
                shortcut = nominal == 1 and before == channels
                block = build_block(before, expanded, channels, stride=stride, dilation=dilation, shortcut=shortcut)
                self.append(block, residual_names(f"stages.{stage}.{repeat}"))
                before = channels
            if stage >= 2:
                tokens, layers = table.tokens[stage - 2], LAYERS[stage - 2]
                dilation = strides.advance(1)[1]
                vit = build_vit(channels, tokens, layers, dilation=dilation)
                self.append(vit, vit_names(f"stages.{stage}.1", layers))
            self.add_feature(strides.feature_name, channels, strides.current_stride)
        final = 4 * before
        self.append(ConvNormAct(before, final, act=activation, config=config), conv_names("final_conv"))
        self.add_feature("final", final, strides.current_stride)
        init_convolutions(self)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.default_features = {"classification": ("final",), "detection": ("c4", "c5"), "segmentation": ("c3", "c5")}


def conv_names(theirs: str, ours: str = "") -> dict[str, str]:
    """Returns names of the modules of our ``ConvNormAct`` ``ours`` → timm's names in its layer ``theirs``."""
    prefix = f"{ours}." if ours else ""
    return {f"{prefix}conv": f"{theirs}.conv", f"{prefix}norm": f"{theirs}.bn"}


def residual_names(prefix: str) -> dict[str, str]:
    """Returns names of the modules of an inverted residual → timm's names."""
    parts = {"expand": "conv1_1x1", "depthwise": "conv2_kxk", "project": "conv3_1x1"}
    return {k: v for ours, theirs in parts.items() for k, v in conv_names(f"{prefix}.{theirs}", f"body.{ours}").items()}


def vit_names(prefix: str, layers: int) -> dict[str, str]:
    """Returns names of the modules of a ``MobileViTBlock`` → timm's names."""
    names = {"embed": f"{prefix}.conv_1x1", "norm": f"{prefix}.norm"}
    for ours, theirs in {"local": "conv_kxk", "project": "conv_proj", "fuse": "conv_fusion"}.items():
        names |= conv_names(f"{prefix}.{theirs}", ours)
    inside = {"norm1": "norm1", "qkv": "attn.qkv", "project": "attn.proj", "norm2": "norm2", "widen": "mlp.fc1"}
    inside["narrow"] = "mlp.fc2"
    for k in range(layers):
        names |= {f"transformer.{k}.{ours}": f"{prefix}.transformer.{k}.{theirs}" for ours, theirs in inside.items()}
    return names
