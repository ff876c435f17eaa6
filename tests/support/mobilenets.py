"""The published MobileNets, their configurations and maps, and names for them in test ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3

ROLES = ("classification", "detection", "segmentation")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}


CONFIGURATIONS: tuple[tuple[type[Backbone], dict[str, Any]], ...] = (
    (MobileNetV2, {}),
    *(
        (MobileNetV3, {"variant": variant, "tail": tail, "minimalistic": minimalistic})
        for variant in ("large", "small")
        for tail in ("full", "detection", "segmentation")
        for minimalistic in (False, True)
    ),
)
MAPS = ("c1", "c2", "c3_first", "c3", "c4", "c4_expansion", "c5", "final")


def name_of(value: object) -> str | None:
    """Readable test ids for classes and argument dictionaries; pytest names the rest."""
    if isinstance(value, type):
        return value.__name__
    if isinstance(value, dict):
        return ",".join(f"{k}={v}" for k, v in value.items()) or "default"
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return None


def on_meta(family: type[Backbone], **arguments: Any) -> Backbone:
    with torch.device("meta"):
        return family(**arguments)


def parameters_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
