"""Compares the speed of litmobile with its peers: `python -m litmobile.tools.benchmark`.

Each side runs in its own process and the two take steps in turn, so that other load slows both equally. The result
is the median ratio of neighbouring steps with its 90 % interval. The peers of SSDLite and LR-ASPP run as they ship;
backbones and the training steps of classification use channels-last memory on both sides. Reading images is timed in
one process, as one worker does it.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import torch

from .classification import CLASSIFICATION
from .reading import READING
from .segmentation import SEGMENTATION
from .sides import BACKBONE_SIDES, DETECTION, PRECISIONS, Setting, Sides

#: comparisons by group
GROUPS = {"backbones": BACKBONE_SIDES, "classification": CLASSIFICATION, "segmentation": SEGMENTATION}
SIDES: dict[str, Sides] = {**DETECTION, **BACKBONE_SIDES, **CLASSIFICATION, **SEGMENTATION, **READING}


def serve(connection: Connection, name: str, side: int, setting: Setting, threads: int) -> None:
    """Runs in a side's process: takes a step at every request and returns its duration in milliseconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    prepare_step = SIDES[name][side]
    assert prepare_step is not None, f"{name} has no peer"
    step = prepare_step(setting)
    while connection.recv():
        start = time.perf_counter()
        step()
        if setting.device != "cpu":
            torch.accelerator.synchronize()
        connection.send((time.perf_counter() - start) * 1000)


def measure(name: str, setting: Setting, threads: int, steps: int, warmup: int = 3) -> list[list[float]]:
    """Measures the milliseconds of our steps and, if our network has a peer, of the peer's, in turn."""
    context = multiprocessing.get_context("spawn")  # a forked process would share OpenMP's threads
    connections: list[Connection] = []
    for side in range(len(SIDES[name]) - SIDES[name].count(None)):
        ours, theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, name, side, setting, threads), daemon=True).start()
        connections.append(ours)
    times: list[list[float]] = [[] for _ in connections]
    for _ in range(warmup + steps):
        for milliseconds, connection in zip(times, connections, strict=True):
            connection.send(True)
            milliseconds.append(connection.recv())
    for connection in connections:
        connection.send(False)
    return [milliseconds[warmup:] for milliseconds in times]


def interval(values: Sequence[float], confidence: float = 0.9) -> tuple[float, float]:
    """Computes a confidence interval of the median, for any distribution.

    It uses order statistics: the median lies below the k-th smallest of n values only if fewer than k values lie below
    the median.
    """
    ordered, n = sorted(values), len(values)
    tails = itertools.accumulate(math.comb(n, k) / 2**n for k in range(n // 2))
    k = max(1, sum(tail <= (1 - confidence) / 2 for tail in tails))
    return ordered[k - 1], ordered[n - k]


def report(name: str, times: list[list[float]], batch: int) -> str:
    """Formats one line: milliseconds and images per second of each side, and the ratio."""
    medians = [statistics.median(milliseconds) for milliseconds in times]
    text = "".join(f"{median:9.1f} ms {1000 * batch / median:7.1f} images/s" for median in medians)
    if len(times) == 2:
        ratios = [a / b for a, b in zip(*times, strict=True)]
        low, high = interval(ratios)
        text += f"   ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
    return f"{name:<28}{text}"


def main() -> None:
    """Runs the comparisons that the command line names and prints their results."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark", description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=["ssdlite-step"], choices=[*SIDES, *GROUPS], metavar="NAME",
        help=f"comparisons: {', '.join(SIDES)}, or one of the groups {', '.join(GROUPS)} (default: ssdlite-step)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=32, help="images per step (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="measured steps of each side (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="where both sides run, e.g. cuda (default: %(default)s)")
    parser.add_argument("--precision", default="32", choices=PRECISIONS, help="of both sides (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile our networks")
    options = parser.parse_args()
    setting = Setting(options.batch, options.device, options.precision, options.compile)
    names = [name for given in options.names for name in GROUPS.get(given, [given])]
    print(f"litmobile, then its peer: {setting}, {options.threads} threads, {options.steps} steps each, in turn")
    for name in names:
        print(report(name, measure(name, setting, options.threads, options.steps), options.batch), flush=True)
