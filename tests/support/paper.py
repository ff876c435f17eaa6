"""Helpers to compute a network from its paper's description with our weights and to compare the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Paper:
    """Returns the weights of one of our networks in the order of its layers, and checks their shapes."""

    def __init__(self, network: nn.Module) -> None:
        self.training = network.training
        self.weights = iter([m.weight for m in network.modules() if isinstance(m, nn.Conv2d)])
        self.norms = iter([m for m in network.modules() if isinstance(m, nn.BatchNorm2d)])

    def weight(self, *shape: int) -> Tensor:
        """Returns the next convolution's weight, which must have ``shape`` (outputs, inputs, rows, columns)."""
        weight = next(self.weights)
        assert weight.shape == shape
        return weight

    def norm(self, x: Tensor) -> Tensor:
        """Applies the next batch norm, with the batch's statistics in training and the running ones otherwise."""
        norm = next(self.norms)
        mean, variance = norm.running_mean, norm.running_var
        if self.training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        mean, variance, scale, shift = (v[:, None, None] for v in (mean, variance, norm.weight, norm.bias))
        return (x - mean) / (variance + norm.eps).sqrt() * scale + shift

    def is_finished(self) -> bool:
        """Whether every layer of our network was used."""
        return next(self.weights, None) is None and next(self.norms, None) is None


def assert_equal_with_gradients(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], inputs: Sequence[Tensor], tolerance: float = 1e-10
) -> None:
    """Asserts equal outputs, and equal gradients of all ``inputs`` for one random direction of the outputs."""
    assert found.keys() == expected.keys()
    directions = {name: torch.randn_like(x) for name, x in found.items()}
    gradients = []
    for maps in (found, expected):
        total = torch.stack([(maps[name] * direction).sum() for name, direction in directions.items()]).sum()
        gradients.append(torch.autograd.grad(total, inputs))
    for name, x in found.items():
        assert x.shape == expected[name].shape
        assert (x - expected[name]).abs().max() <= tolerance * expected[name].abs().max(), name
    # relative to the largest, because the gradient of a shift before a norm is only rounding error
    largest = max(gradient.abs().max() for gradient in gradients[1])
    for ours, theirs in zip(*gradients, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= tolerance * largest
