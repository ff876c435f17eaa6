"""What the tests of the backbones share: no network, trained-looking weights, and two ways of comparing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that reaches for the network at once, instead of waiting for an answer."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a test reached for the network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: quicker for tiny inputs, and threads of float64 convolutions crawl on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="module")
def nothing_drawn_on_meta() -> Iterator[None]:
    """Networks that are built for their shapes alone need no weights, and drawing them on that device takes long."""

    def unless_meta(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda tensor, *args, **kwargs: tensor if tensor.is_meta else draw(tensor, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for name in ("kaiming_uniform_", "kaiming_normal_", "uniform_", "normal_", "ones_", "zeros_"):
            patch.setattr(nn.init, name, unless_meta(getattr(nn.init, name)))
        yield


@pytest.fixture(scope="session")
def as_if_trained() -> Callable[[nn.Module], nn.Module]:
    """Move norms and biases away from their initial zeros and ones, which hide half of all mistakes."""

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
    """Measure the largest difference between two tensors, relative to the largest value of the second."""

    def measure(found: Tensor, expected: Tensor) -> float:
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        found, expected = found.detach(), expected.detach()
        return float((found - expected).abs().max() / expected.abs().max().clamp_min(torch.finfo(found.dtype).tiny))

    return measure


@pytest.fixture(scope="session")
def assert_one_sentence() -> Callable[[BaseException, Iterable[str]], None]:
    """Check that an error message is a single sentence in which each of ``mentioned`` can be read."""

    def check(error: BaseException, mentioned: Iterable[str]) -> None:
        text = str(error)
        assert text.endswith("."), text
        assert "\n" not in text, text
        assert ". " not in text, text
        for word in mentioned:
            assert word in text, f"{word!r} is not in {text!r}"

    return check
