"""What the tests of the heads share: backbones to sit on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from litmobile.backbones import Backbone, TimmBackbone
from support.families import SMALL, small_for

# by name: for the role of the head, a fresh backbone
BACKBONES: dict[str, Callable[[str], Backbone]] = {
    **{family: partial(small_for, family) for family in SMALL},
    "resnet18": lambda role: TimmBackbone("resnet18"),
}


@pytest.fixture(params=BACKBONES, scope="module")
def backbone_for(request: pytest.FixtureRequest) -> Callable[[str], Backbone]:
    """Each kind of backbone in turn: role → a fresh one."""
    return BACKBONES[request.param]
