"""Simulates int8 in PyTorch, to choose how weights are quantised and to find the layers that lose most."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .module import ExportModule

Hook = Callable[[nn.Module, tuple[Tensor, ...]], Any]

LAYERS = (nn.Conv2d, nn.Linear)
MOST_IMAGES = 8  # more do not change the order of layers, but take longer


class LayerError(NamedTuple):
    """What quantising one layer alone does to the outputs.

    Attributes:
        name: of the layer.
        error: squared error of the outputs relative to their squares, as :meth:`SimulatedInt8.compute_error` returns.
    """

    name: str
    error: float


class SimulatedInt8:
    """A network whose layers can compute with quantised weights and inputs.

    Weights are rounded to int8 and inputs to 8 bits between the extremes that the images gave.

    Args:
        module: is copied; its batch norms are folded into the convolutions before them.
        images: ``[M, 3, H, W]`` uint8, of which at most ``MOST_IMAGES`` are used.
    """

    @torch.inference_mode()
    def __init__(self, module: ExportModule, images: Tensor) -> None:
        self.module = copy.deepcopy(module)
        self.module.returns_labels = False  # labels would hide small differences
        self.images = images[:: max(1, len(images) // MOST_IMAGES)][:MOST_IMAGES]
        fold_batch_norms(self.module, self.images[:1])
        self.layers = {name: layer for name, layer in self.module.named_modules() if isinstance(layer, LAYERS)}
        self.ranges: dict[str, tuple[Tensor, Tensor]] = {}
        hooks = [layer.register_forward_pre_hook(self._make_observer(name)) for name, layer in self.layers.items()]
        self.exact = self.module.named_outputs(self.images)
        for hook in hooks:
            hook.remove()

    def _make_observer(self, name: str) -> Hook:
        def observe(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            low, high = inputs[0].amin().clamp(max=0), inputs[0].amax().clamp(min=0)
            earlier = self.ranges.get(name, (low, high))
            self.ranges[name] = (torch.minimum(low, earlier[0]), torch.maximum(high, earlier[1]))

        return observe

    @torch.inference_mode()
    def compute_error(self, names: Collection[str], per_channel: bool) -> float:
        """Returns the error of the outputs if the layers ``names`` are quantised.

        It is the sum of squared differences divided by the sum of squares, averaged over the outputs.
        """
        with self._quantized(names, per_channel):
            found = self.module.named_outputs(self.images)
        errors = [
            ((found[name] - exact).square().sum() / exact.square().sum().clamp(min=1e-12)).item()
            for name, exact in self.exact.items()
        ]
        return sum(errors) / len(errors)

    @contextmanager
    def _quantized(self, names: Collection[str], per_channel: bool) -> Iterator[None]:
        weights = {name: self.layers[name].weight.data for name in names}
        hooks = []
        for name, weight in weights.items():
            self.layers[name].weight.data = round_weight(weight, per_channel)
            hooks.append(self.layers[name].register_forward_pre_hook(make_rounding(*self.ranges[name])))
        try:
            yield
        finally:
            for name, weight in weights.items():
                self.layers[name].weight.data = weight
            for hook in hooks:
                hook.remove()

    @cached_property
    def prefers_per_channel(self) -> bool:
        """Whether a scale for each output channel of the weights gives smaller errors than one for all."""
        names = list(self.ranges)
        return self.compute_error(names, per_channel=True) < self.compute_error(names, per_channel=False)

    def rank_layers(self, per_channel: bool) -> list[LayerError]:
        """Returns the layers by the error that each causes alone, the largest first."""
        found = [LayerError(name, self.compute_error([name], per_channel)) for name in self.ranges]
        return sorted(found, key=lambda layer: -layer.error)


def round_weight(weight: Tensor, per_channel: bool) -> Tensor:
    """Rounds a weight ``[C, …]`` to 127 steps on either side of 0."""
    dims = tuple(range(1, weight.dim())) if per_channel else tuple(range(weight.dim()))
    step = (weight.abs().amax(dims, keepdim=True) / 127).clamp(min=1e-12)
    return (weight / step).round() * step


def make_rounding(low: Tensor, high: Tensor) -> Hook:
    """Returns a hook that rounds a layer's input to 256 values from ``low`` to ``high``, of which one is 0."""
    step = ((high - low) / 255).clamp(min=1e-12)
    zero = (-low / step).round()

    def round_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        return ((((inputs[0] / step).round() + zero).clamp(0, 255) - zero) * step,)

    return round_input


def fold_batch_norms(module: ExportModule, images: Tensor) -> None:
    """Folds every batch norm of ``module`` into the convolution that computes its input; ``images`` are run once."""
    makers: dict[int, tuple[str, Tensor]] = {}  # by id of the output, which is kept so that the id stays its own
    pairs: dict[str, str] = {}
    names = {layer: name for name, layer in module.named_modules()}

    def note_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, nn.Conv2d):
            makers[id(output)] = (names[layer], output)
        elif id(inputs[0]) in makers:
            pairs[names[layer]] = makers[id(inputs[0])][0]

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    hooks = [layer.register_forward_hook(note_output) for layer in layers]
    module.named_outputs(images)
    for hook in hooks:
        hook.remove()
    for norm, convolution in pairs.items():
        layer, statistics = module.get_submodule(convolution), module.get_submodule(norm)
        assert isinstance(layer, nn.Conv2d)
        assert isinstance(statistics, nn.BatchNorm2d)
        module.set_submodule(convolution, fuse_conv_bn_eval(layer, statistics))
        module.set_submodule(norm, nn.Identity())
