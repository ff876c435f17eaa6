"""Measures both sides of a comparison in turn, each in its own process."""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import time
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from ..medians import Estimate
from .comparisons import SIDES
from .sides import Setting, Step

LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel")  # how the names of the calls begin


class DeviceCalls(NamedTuple):
    """Calls of one step that a GPU needs.

    Attributes:
        launches: number of kernels that are launched.
        synchronisations: number of times that the process waits for the GPU.
    """

    launches: int
    synchronisations: int


def time_step(step: Step, device: str) -> float:
    """Returns the milliseconds of a step."""
    start = time.perf_counter()
    step()
    if device != "cpu":
        torch.accelerator.synchronize()
    return (time.perf_counter() - start) * 1000


def count_device_calls(step: Step, device: str) -> DeviceCalls | None:
    """Counts the calls of one step; returns None without a CUDA device."""
    if torch.device(device).type != "cuda":
        return None
    with warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        step()
        torch.cuda.set_sync_debug_mode("default")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        step()
    launches = sum(event.count for event in profiled.key_averages() if event.key.startswith(LAUNCHES))
    return DeviceCalls(launches, sum("synchronizing" in str(wait.message) for wait in waits))


def serve(connection: Connection, name: str, side: int, setting: Setting, threads: int) -> None:
    """Runs in a side's process: answers every requested function with its result for the step, or with an error."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    prepare_step = SIDES[name][side]
    assert prepare_step is not None, f"{name} has no peer"
    step: Step | None = None
    while function := connection.recv():
        try:
            step = step or prepare_step(setting)
            connection.send(function(step, setting.device))
        except torch.OutOfMemoryError as error:
            connection.send(error)


class SideProcesses:
    """The processes of our side and, if our network has a peer, of the peer's; a context manager that ends them.

    Args:
        name: of the comparison.
        setting: of both sides.
        threads: CPU threads of each side.
    """

    def __init__(self, name: str, setting: Setting, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a forked process would share OpenMP's threads
        self.connections: list[Connection] = []
        for side in range(len(SIDES[name]) - SIDES[name].count(None)):
            ours, theirs = context.Pipe()
            context.Process(target=serve, args=(theirs, name, side, setting, threads), daemon=True).start()
            self.connections.append(ours)

    def __enter__(self) -> SideProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        for connection in self.connections:
            with contextlib.suppress(BrokenPipeError):  # the process has stopped
                connection.send(None)

    def ask(self, function: Any) -> list[Any]:
        """Returns the results of ``function(step, device)`` in each process, one after the other.

        Raises:
            torch.OutOfMemoryError: a side does not fit in the memory of the device.
        """
        results: list[Any] = []
        for connection in self.connections:
            connection.send(function)
            results.append(connection.recv())
            if isinstance(results[-1], Exception):
                raise results[-1]
        return results

    def measure(self, steps: int, warmup: int = 10) -> list[list[float]]:
        """Measures the milliseconds of the steps of each side, in turn.

        The memory of a training step grows in its first ten steps, until all blocks have found their places.
        """
        rounds = [self.ask(time_step) for _ in range(warmup + steps)]
        return [list(milliseconds) for milliseconds in zip(*rounds[warmup:], strict=True)]


class Summary(NamedTuple):
    """What a comparison finds.

    Attributes:
        milliseconds: median of each side.
        rates: images per second of each side.
        ratio: median of the ratios of neighbouring steps, with the ends of its 90 % interval; None without a peer.
    """

    milliseconds: list[float]
    rates: list[float]
    ratio: Estimate | None

    @classmethod
    def of(cls, times: Sequence[Sequence[float]], batch: int) -> Summary:
        """Summarises the ``times`` of each side for ``batch`` images a step."""
        medians = [statistics.median(milliseconds) for milliseconds in times]
        ratio = Estimate.of_ratios(*times, confidence=0.9) if len(times) == 2 else None
        return cls(medians, [1000 * batch / median for median in medians], ratio)

    def __str__(self) -> str:
        pairs = zip(self.milliseconds, self.rates, strict=True)
        text = "".join(f"{median:9.1f} ms {rate:7.1f} images/s" for median, rate in pairs)
        return text if self.ratio is None else text + "   ratio {:.3f} ({:.3f} to {:.3f})".format(*self.ratio)
