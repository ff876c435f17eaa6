"""The families of backbones, their published variants, and helpers to build and name them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

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
from litmobile.tools.complexity import without_values

ROLES = ("classification", "detection", "segmentation")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}

FAMILIES: tuple[type[SequentialBackbone], ...] = (
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    ShuffleNetV1,
    ShuffleNetV2,
    EffNet,
    MobileViT,
)


def name_of(value: object) -> str | None:
    """Readable test ids for classes, argument dictionaries and types of numbers; pytest names the rest."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "default"
    if isinstance(value, Variant):
        return name_of(dict(value.arguments))
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return None


VARIANTS = [
    pytest.param(family, variant, id=f"{family.__name__}-{name_of(variant)}")
    for family in FAMILIES
    for variant in family.variants
]


def on_meta(family: type[Backbone], **arguments: Any) -> Backbone:
    """A network without values, for its shapes alone."""
    with without_values():
        return family(**arguments)


def parameters_of(network: nn.Module) -> int:
    """How many parameters there are."""
    return sum(p.numel() for p in network.parameters())
