"""What the tests of the heads share: one thread, backbones to sit on, and what a readable error is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3, TimmBackbone

# by name: for the role of the head (the reduced tails of MobileNetV3 differ), a fresh backbone
BACKBONES: dict[str, Callable[[str], Backbone]] = {
    "MobileNetV2-0.35": lambda role: MobileNetV2(0.35),
    "MobileNetV3-small": lambda role: MobileNetV3("small", tail="full" if role == "classification" else role),
    "resnet18": lambda role: TimmBackbone("resnet18"),
}


@pytest.fixture(params=BACKBONES, scope="module")
def backbone_for(request: pytest.FixtureRequest) -> Callable[[str], Backbone]:
    """Each kind of backbone in turn: role → a fresh one."""
    return BACKBONES[request.param]
