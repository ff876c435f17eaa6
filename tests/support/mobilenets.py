"""The published MobileNets, their configurations and maps, and names for them in test ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3

ROLES = ("classification", "detection", "segmentation")
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5}


class Published(NamedTuple):
    """A published network: how to build it, the layers of its classifier, its parameters and its multiply-adds in M."""

    family: type[Backbone]
    arguments: dict[str, Any]
    hidden: int
    parameters: int
    multiply_adds: float

    def __str__(self) -> str:
        return "-".join([self.family.__name__, *(f"{k}={v}" for k, v in self.arguments.items())])


PUBLISHED = (
    Published(MobileNetV2, {"width": 1.4}, 0, 6_108_776, 582.20),
    Published(MobileNetV2, {"width": 1.0}, 0, 3_504_872, 300.77),
    Published(MobileNetV2, {"width": 0.75}, 0, 2_636_424, 209.07),
    Published(MobileNetV2, {"width": 0.5}, 0, 1_968_680, 97.13),
    Published(MobileNetV2, {"width": 0.35}, 0, 1_677_128, 59.29),
    Published(MobileNetV3, {"variant": "large", "width": 1.25}, 1280, 7_551_976, 355.22),
    Published(MobileNetV3, {"variant": "large", "width": 1.0}, 1280, 5_483_032, 216.59),
    Published(MobileNetV3, {"variant": "large", "width": 0.75}, 1280, 3_993_528, 154.56),
    # the paper's MAdds for Small do not reproduce in any reference; these are the reference network's own
    Published(MobileNetV3, {"variant": "small", "width": 1.25}, 1024, 3_205_384, 90.80),
    Published(MobileNetV3, {"variant": "small", "width": 1.0}, 1024, 2_542_856, 56.51),
    Published(MobileNetV3, {"variant": "small", "width": 0.75}, 1024, 2_041_872, 43.40),
    Published(MobileNetV3, {"variant": "large", "minimalistic": True}, 1280, 3_924_288, 209.14),
    Published(MobileNetV3, {"variant": "small", "minimalistic": True}, 1024, 2_044_736, 52.29),
)

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
    if isinstance(value, Published):
        return str(value)
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    return None


def on_meta(family: type[Backbone], **arguments: Any) -> Backbone:
    with torch.device("meta"):
        return family(**arguments)


def parameters_of(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())
