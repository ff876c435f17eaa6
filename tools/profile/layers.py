"""What each layer of a network costs: predicted shares, and measured time on PyTorch's eager mode."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from .counts import Complexity
from .engines.prepared import wait_for

PASSES = 20  # that are measured
FASTEST = 5  # that count
WARMUP = 3
BETWEEN = "between modules"  # functions that blocks call themselves, such as sums, pools and shuffles

Facts = dict[str, Any]


class ModuleClock:
    """Measures the time of each module without the modules inside it, by hooks.

    Args:
        network: runs once in each ``with`` block.
        device: of the network; a GPU is waited for before and after each module.

    Attributes:
        passes: for each block, milliseconds by the module's name; a module that is called twice adds both calls.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.passes: list[dict[str, float]] = []
        self._network, self._device = network, device
        self._calls: list[list[float]] = []  # start, and milliseconds inside inner modules; the innermost last

    def __enter__(self) -> ModuleClock:
        self.passes.append(defaultdict(float))
        self._handles: list[Any] = []
        for name, module in self._network.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._enter))
            self._handles.append(module.register_forward_hook(self._make_leave(name)))
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()

    def now(self) -> float:
        """Returns the time in milliseconds, after the device has finished."""
        wait_for(self._device)
        return time.perf_counter() * 1000

    def _enter(self, module: nn.Module, inputs: object) -> None:
        self._calls.append([self.now(), 0.0])

    def _make_leave(self, name: str) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: object, output: object) -> None:
            start, inside = self._calls.pop()
            taken = self.now() - start
            self.passes[-1][name] += taken - inside
            if self._calls:
                self._calls[-1][1] += taken

        return leave


class ModuleTimes(NamedTuple):
    """Times of one pass of a network.

    Attributes:
        total: milliseconds, measured without hooks.
        modules: milliseconds of each module without the modules inside it, by name.
    """

    total: float
    modules: dict[str, float]


def time_modules(network: nn.Module, images: torch.Tensor) -> ModuleTimes:
    """Measures the whole network and each module, in turn: means of the fastest passes, because load only adds time.

    Args:
        network: in evaluation mode.
        images: a batch on the same device.
    """
    clock, totals = ModuleClock(network, images.device), []
    with torch.inference_mode():
        for _ in range(WARMUP):
            network(images)
        for _ in range(PASSES):
            start = clock.now()
            network(images)
            totals.append(clock.now() - start)
            with clock:
                network(images)
    fastest = sorted(clock.passes, key=lambda times: sum(times.values()))[:FASTEST]
    means = {name: statistics.fmean(times[name] for times in fastest) for name in fastest[0]}
    return ModuleTimes(statistics.fmean(sorted(totals)[:FASTEST]), means)


def list_layers(network: nn.Module, counted: Complexity, times: ModuleTimes | None) -> list[Facts]:
    """Lists the operations that multiply, with their shares, and then everything else, by the kind of module.

    Args:
        network: that was counted.
        counted: its costs.
        times: None without a measurement.
    """
    rows = [
        {
            **operation._asdict(),
            "share_of_multiply_adds": operation.multiply_adds / max(1, counted.multiply_adds),
            "share_of_memory_access": operation.memory_access / max(1, counted.memory_access),
        }
        for operation in counted.operations
    ]
    if times is not None:
        unassigned = dict(times.modules)
        for row in rows:  # a layer that is called twice has all its time in its first row
            row["milliseconds"] = unassigned.pop(row["layer"], None)
        rows += group_others(network, unassigned)
        known = sum(row["milliseconds"] or 0 for row in rows)
        rows.append({"layer": BETWEEN, "milliseconds": max(0.0, times.total - known)})
        for row in rows:
            milliseconds = row["milliseconds"]
            row["share_of_time"] = None if milliseconds is None else milliseconds / max(times.total, known)
    rows.append({"layer": "norms and others", "parameters": counted.other_parameters})
    return rows


def group_others(network: nn.Module, times: Mapping[str, float]) -> Iterable[Facts]:
    """Groups the innermost of other modules by their class, the slowest first."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for name, milliseconds in times.items():
        module = network.get_submodule(name)
        if not any(module.children()):
            kinds[type(module).__name__].append(milliseconds)
    for kind, values in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        yield {"layer": f"{kind} ({len(values)})", "milliseconds": sum(values)}
