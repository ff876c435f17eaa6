"""Fixtures of the backbone tests: no network access, perturbed weights, comparisons."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

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


@pytest.fixture(scope="session")
def as_if_trained() -> Callable[[nn.Module], nn.Module]:
    """Moves norms and biases away from their initial zeros and ones, which hide many errors."""

    def perturb(network: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(1)

        def uniform(like: Tensor, low: float, high: float) -> Tensor:
            return torch.rand(like.shape, generator=generator, dtype=like.dtype) * (high - low) + low

        with torch.no_grad():
            for module in network.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.weight.copy_(uniform(module.weight, 0.6, 1.4))
                    module.running_mean.copy_(uniform(module.running_mean, -0.2, 0.2))
                    module.running_var.copy_(uniform(module.running_var, 0.5, 1.5))
                if isinstance(getattr(module, "bias", None), Tensor):
                    module.bias.copy_(uniform(module.bias, -0.2, 0.2))
        return network

    return perturb


@pytest.fixture(scope="session")
def deviation() -> Callable[[Tensor, Tensor], float]:
    """Returns the largest difference between two tensors, relative to the largest value of the second."""

    def measure(found: Tensor, expected: Tensor) -> float:
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        found, expected = found.detach(), expected.detach()
        return float((found - expected).abs().max() / expected.abs().max().clamp_min(torch.finfo(found.dtype).tiny))

    return measure


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
