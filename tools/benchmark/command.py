"""Times litmobile's steps against the peers': `python -m litmobile.tools.benchmark`.

Each side lives in a process of its own and the two step in turn, so that what slows the machine slows both. The ratio
of each pair of neighbouring steps is taken; the median of the ratios is quoted with its 90 % interval. SSDLite's peer
runs as it ships, with its own memory settings; backbones and classification's training steps run with channels last and
the same settings on both sides. Reading pictures is timed in one process, as one worker does it.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import torch

from .classification import CLASSIFICATION
from .segmentation import SEGMENTATION
from .sides import PRECISIONS, Setting, Side, sides

SIDES: dict[str, tuple[Side, Side | None]] = sides() | CLASSIFICATION | SEGMENTATION
#: comparisons that one word stands for
GROUPS = {
    "backbones": [name for name in sides() if name != "ssdlite-step"],
    "classification": list(CLASSIFICATION),
    "segmentation": list(SEGMENTATION),
}


def serve(name: str, side: int, setting: Setting, threads: int) -> None:
    """A side's process: takes a step for every line that comes in, and answers with its milliseconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make = SIDES[name][side]
    assert make is not None, f"{name} has no peer"
    step = make(setting)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        if setting.device != "cpu":
            torch.accelerator.synchronize()
        print((time.perf_counter() - start) * 1000, flush=True)


def measure(name: str, words: Sequence[str], steps: int, warmup: int = 3) -> list[list[float]]:
    """Milliseconds of our steps and of the peer's, where there is one, taken in turn by processes told ``words``."""
    command = [sys.executable, "-m", "litmobile.tools.benchmark", name, *words]
    sides = [
        subprocess.Popen([*command, f"--serve={side}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for side, make in enumerate(SIDES[name])
        if make is not None
    ]
    times: list[list[float]] = [[] for _ in sides]
    for _ in range(warmup + steps):
        for taken, process in zip(times, sides, strict=True):
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("step\n")
            process.stdin.flush()
            taken.append(float(process.stdout.readline()))
    for process in sides:
        process.communicate()
    return [taken[warmup:] for taken in times]


def interval(values: Sequence[float], confidence: float = 0.9) -> tuple[float, float]:
    """Bounds between which the median lies with at least ``confidence``, whatever the distribution.

    By order statistics: the median lies below the k-th smallest of n values only if fewer than k of them fall below it.
    """
    ordered, n = sorted(values), len(values)
    tail, k = 0.0, 0
    while k < n // 2 and tail + math.comb(n, k) / 2**n <= (1 - confidence) / 2:
        tail += math.comb(n, k) / 2**n
        k += 1
    k = max(k, 1)
    return ordered[k - 1], ordered[n - k]


def report(name: str, times: list[list[float]], batch: int) -> str:
    """A line of figures: milliseconds and images a second of each side, and the ratio."""
    medians = [statistics.median(taken) for taken in times]
    text = "".join(f"{median:9.1f} ms {1000 * batch / median:7.1f} images/s" for median in medians)
    if len(times) == 2:
        ratios = [a / b for a, b in zip(*times, strict=True)]
        low, high = interval(ratios)
        text += f"   ratio {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
    return f"{name:<28}{text}"


def main() -> None:
    """Runs comparisons and prints medians, ratios and their intervals."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark", description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=["ssdlite-step"], choices=[*SIDES, *GROUPS], metavar="NAME",
        help=f"what to compare: {', '.join(SIDES)}, or all {' or '.join(GROUPS)} (default: ssdlite-step)",
    )  # fmt: skip
    parser.add_argument("--batch", type=int, default=32, help="images a step (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="counted steps of each side (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda … (default: %(default)s)")
    parser.add_argument("--precision", default="32", choices=PRECISIONS, help="of both sides (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile our side")
    parser.add_argument("--serve", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    setting = Setting(options.batch, options.device, options.precision, options.compile)
    if options.serve is not None:
        serve(options.names[0], options.serve, setting, options.threads)
        return
    names = [name for given in options.names for name in GROUPS.get(given, [given])]
    words = [word for word in sys.argv[1:] if word not in options.names]
    print(f"litmobile, then its peer: {setting}, {options.threads} threads, {options.steps} steps each, in turn")
    for name in names:
        print(report(name, measure(name, words, options.steps), options.batch), flush=True)
