"""A small network of every family, for tests that try them all."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

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

# EffNet is extended, since every role finds its maps then
SMALL: dict[str, Callable[[], Backbone]] = {
    "MobileNetV1": partial(MobileNetV1, 0.25),
    "MobileNetV2": partial(MobileNetV2, 0.35),
    "MobileNetV3": partial(MobileNetV3, "small", 0.35),
    "ShuffleNetV1": partial(ShuffleNetV1, 3, 0.25),
    "ShuffleNetV2": partial(ShuffleNetV2, 0.5),
    "EffNet": partial(EffNet, 0.25, extended=True),
    "MobileViT": partial(MobileViT, "xxs"),
}


def small_for(family: str, role: str) -> Backbone:
    """The small network of ``family`` that is meant for ``role``.

    EffNet is classified with as published, and MobileNetV3 has a tail for each of the other roles.
    """
    if family == "EffNet" and role == "classification":
        return EffNet(0.25)
    if family == "MobileNetV3" and role in ("detection", "segmentation"):
        return MobileNetV3("small", 0.35, tail=role)
    return SMALL[family]()
