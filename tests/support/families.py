"""The families of backbones, their published variants, and helpers to build and name them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import (
    Backbone,
    EffNet,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    MobileViT,
    ShuffleNetV1,
    ShuffleNetV2,
)
from litmobile.backbones.contract import Variant
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.tools.profile.counts import without_values

ROLES = ("classification", "detection", "segmentation")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5}  # float32 rounds differently on every processor

FAMILIES: tuple[type[SequentialBackbone], ...] = (
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    ShuffleNetV1,
    ShuffleNetV2,
    EffNet,
    MobileViT,
)


def format_id(value: object) -> str | None:
    """Return a readable test id for classes, arguments and dtypes; pytest names the rest."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "default"
    if isinstance(value, Variant):
        return format_id(dict(value.arguments))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return None


VARIANTS = [
    pytest.param(family, variant, id=f"{family.__name__}-{format_id(variant)}")
    for family in FAMILIES
    for variant in family.variants
]


def build_on_meta(family: type[Backbone], **arguments: Any) -> Backbone:
    """Build a network on the meta device, which has shapes but no values."""
    with without_values():
        return family(**arguments)


def count_parameters(network: nn.Module) -> int:
    """Count the parameters of ``network``."""
    return sum(p.numel() for p in network.parameters())


# a small network of every family; EffNet is extended so that it has feature maps for every role
SMALL: dict[str, Callable[[], Backbone]] = {
    "MobileNetV1": partial(MobileNetV1, 0.25),
    "MobileNetV2": partial(MobileNetV2, 0.35),
    "MobileNetV3": partial(MobileNetV3, "small", 0.35),
    "ShuffleNetV1": partial(ShuffleNetV1, 3, 0.25),
    "ShuffleNetV2": partial(ShuffleNetV2, 0.5),
    "EffNet": partial(EffNet, 0.25, extended=True),
    "MobileViT": partial(MobileViT, "xxs"),
}


def build_small(family: str, role: str) -> Backbone:
    """Build the small network of ``family`` for ``role``.

    For classification, EffNet is the published network. For the other roles, MobileNetV3 has its own tails.
    """
    if family == "EffNet" and role == "classification":
        return EffNet(0.25)
    if family == "MobileNetV3" and role in ("detection", "segmentation"):
        return MobileNetV3("small", 0.35, tail=role)
    return SMALL[family]()


@torch.no_grad()
def perturb(network: nn.Module) -> nn.Module:
    """Moves norms and biases away from their initial zeros and ones, which hide many errors."""
    generator = torch.Generator().manual_seed(1)

    def uniform(like: Tensor, low: float, high: float) -> Tensor:
        return torch.rand(like.shape, generator=generator, dtype=like.dtype) * (high - low) + low

    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.copy_(uniform(module.weight, 0.6, 1.4))
            module.running_mean.copy_(uniform(module.running_mean, -0.2, 0.2))
            module.running_var.copy_(uniform(module.running_var, 0.5, 1.5))
        if isinstance(getattr(module, "bias", None), Tensor):
            module.bias.copy_(uniform(module.bias, -0.2, 0.2))
    return network
