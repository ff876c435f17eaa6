"""Fixtures of the backbone tests: no network access, and pairs of equal networks."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import torch
from torch import nn

from litmobile.backbones.weights import load_state
from support.twins import SMALL_TWINS, State, Twin, compute_maps


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that accesses the network."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a test reached for the network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture(params=SMALL_TWINS.values(), ids=SMALL_TWINS, scope="module")
def twin(request: pytest.FixtureRequest) -> Twin:
    return request.param


@pytest.fixture(scope="module")
def sources(twin: Twin, as_if_trained: Callable[[nn.Module], nn.Module]) -> dict[str, State]:
    """The same weights with both namings, and the maps that they give."""
    torch.manual_seed(0)
    theirs = as_if_trained(twin.theirs())
    ours = twin.ours()
    load_state(ours, theirs.state_dict(), "torchvision")
    return {"torchvision's names": theirs.state_dict(), "our names": ours.state_dict(), "maps": compute_maps(ours)}
