"""Fixtures of the head tests: backbones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from litmobile.backbones import Backbone, TimmBackbone
from support.families import SMALL, build_small

# by name: a function from the head's role to a new backbone
BACKBONES: dict[str, Callable[[str], Backbone]] = {
    **{family: partial(build_small, family) for family in SMALL},
    "resnet18": lambda role: TimmBackbone("resnet18"),
}


@pytest.fixture(params=BACKBONES, scope="module")
def backbone_for(request: pytest.FixtureRequest) -> Callable[[str], Backbone]:
    """Returns a function from a role to a new backbone, for each kind of backbone."""
    return BACKBONES[request.param]
