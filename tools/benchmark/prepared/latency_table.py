"""Latency of every family under every head on a GPU: a Markdown table for docs/benchmarks.md.

`python -m litmobile.tools.benchmark.prepared.latency_table` takes at most eight minutes. A row measures one network in
turn in float32, float16, float16 as a CUDA graph and, while time is left, float16 compiled; from uint8 images on the
device to the output of the head, without decoding.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ....tasks.network import Network
from ...profile.timing import Timing, take_turns
from ..command import parse_device
from ..measurement import Step
from .deployment_table import FAMILIES, HEADS, build_network, format_row
from .gpu import describe

TITLES = ("backbone", "head", "batch", "float32, ms", "float16", "float16, CUDA graph", "float16, compiled")


class Plan(NamedTuple):
    """How much is measured.

    Attributes:
        batches: images per call.
        seconds: of the measurement of one network at one batch size.
        compile_seconds: time after the start when no further network is compiled.
        total_seconds: time after the start when no further network is measured.
    """

    batches: Sequence[int] = (1, 64)
    seconds: float = 1.0
    compile_seconds: float = 330
    total_seconds: float = 450


def main() -> None:
    """Runs the script."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark.prepared.latency_table", description=__doc__)
    parser.add_argument("--device", type=parse_device, default="cuda", help="where it runs (default: %(default)s)")
    device = parser.parse_args().device
    print(f"{describe(device)}, torch {torch.__version__}\n")
    for row in make_rows(device, Plan()):
        print(format_row(row), flush=True)


def make_rows(device: str, plan: Plan) -> Iterator[Sequence[str]]:
    """Yields the rows of the table, the titles first."""
    yield TITLES
    yield ["---"] * len(TITLES)
    start = time.monotonic()
    for batch in plan.batches:
        for family, head in ((family, head) for family in FAMILIES for head in HEADS):
            elapsed = time.monotonic() - start
            if elapsed > plan.total_seconds:
                yield [family, head, str(batch), "no time left"]
                continue
            network = build_network(family, head).to(device)
            cells = measure(network, batch, plan.seconds, compiles=elapsed < plan.compile_seconds)
            yield [family, head, str(batch), *cells]


def measure(network: Network, batch: int, seconds: float, compiles: bool) -> list[str]:
    """Measures a network at one batch size in all modes: milliseconds in float32, and ratios to these."""
    device = network.device
    images = torch.randint(256, (batch, 3, *network.preprocessing.size), dtype=torch.uint8, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — missing in torch's stub
    half = copy.deepcopy(network).half()
    modes: list[Step] = [lambda: network(images), lambda: half(images)]
    if device.type == "cuda":
        modes.append(record_graph(half, images))
    if compiles:
        compiled = torch.compile(half, dynamic=False)
        modes.append(lambda: compiled(images))
    with torch.inference_mode():
        times = take_turns([wait_for(mode, device) for mode in modes], seconds)
    timings = [Timing.of(taken, times[0]) for taken in times]
    cells = ["{:.2f} ({:.2f} to {:.2f})".format(*timings[0].milliseconds)]
    cells += ["{:.2f} ({:.2f} to {:.2f})".format(*timing.ratio) for timing in timings[1:]]
    return cells if compiles else [*cells, "no time left"]


def wait_for(step: Step, device: torch.device) -> Step:
    """Returns a step that ends when its result is there."""
    if device.type == "cpu":
        return step

    def run() -> None:
        step()
        torch.accelerator.synchronize()

    return run


@torch.inference_mode()
def record_graph(network: nn.Module, images: Tensor) -> Callable[[], object]:
    """Records a forward pass as a CUDA graph, and returns what replays it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries choose their kernels in the first calls, which a graph cannot contain
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(images)
    return graph.replay


if __name__ == "__main__":
    main()
