"""Times litmobile's steps against the peers' as they ship: `python -m litmobile.tools.benchmark`.

Each side lives in a process of its own, with its own memory settings, and the two step in turn, so that what slows the
machine slows both. The ratio of each pair of neighbouring steps is taken, and the median of the ratios quoted.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from ..backbones import MobileNetV3
from ..heads import BoxTargets, SSDLite
from ..tasks.network import Network
from ..tasks.preprocessing import Preprocessing
from .memory import keep_freed_memory

Step = Callable[[], object]

SIZE = 320
CLASSES = 90
BOXES = 7


def scene(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images ``[N, H, W, 3]`` uint8, boxes ``[N, 7, 4]`` in pixels, labels ``[N, 7]`` from 0."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    size = 20 + 140 * torch.rand(batch, BOXES, 2, generator=generator)
    corner = torch.rand(batch, BOXES, 2, generator=generator) * (SIZE - size)
    labels = torch.randint(CLASSES, (batch, BOXES), generator=generator)
    return images, torch.cat((corner, corner + size), dim=-1), labels


def ssdlite_ours(batch: int) -> Step:
    """A training step as `litmobile fit` takes it."""
    keep_freed_memory()
    classes = [str(k) for k in range(CLASSES)]
    backbone = MobileNetV3(tail="detection", norm_momentum=0.03)
    network = Network(backbone, SSDLite, classes, Preprocessing((SIZE, SIZE)), role="detection").train()
    network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, boxes, labels = scene(batch)
    images = images.permute(0, 3, 1, 2)
    targets = BoxTargets(boxes, labels)

    def step() -> None:
        loss = sum(network.head.loss(network(images), targets).values())
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportAttributeAccessIssue] — the sum of tensors is one
        optimizer.step()

    return step


def ssdlite_torchvision(batch: int) -> Step:
    """A training step of torchvision's reference: lists of float images, one target dictionary an image."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    images, boxes, labels = scene(batch)
    pictures = list(images.permute(0, 3, 1, 2).contiguous().float() / 255)
    targets = [{"boxes": b, "labels": k + 1} for b, k in zip(boxes, labels, strict=True)]

    def step() -> None:
        loss = sum(network(pictures, targets).values())
        optimizer.zero_grad()
        loss.backward()  # pyright: ignore[reportAttributeAccessIssue]
        optimizer.step()

    return step


SIDES: dict[str, tuple[Callable[[int], Step], Callable[[int], Step]]] = {
    "ssdlite-step": (ssdlite_ours, ssdlite_torchvision),
}


def serve(name: str, side: int, batch: int, threads: int) -> None:
    """A side's process: takes a step for every line that comes in, and answers with its milliseconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = SIDES[name][side](batch)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print((time.perf_counter() - start) * 1000, flush=True)


def compare(name: str, batch: int, threads: int, steps: int, warmup: int = 2) -> tuple[list[float], list[float]]:
    """Milliseconds of our steps and of the peer's, taken in turn."""
    words = [sys.executable, "-m", "litmobile.tools.benchmark", name, f"--batch={batch}", f"--threads={threads}"]
    sides = [
        subprocess.Popen([*words, f"--serve={side}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for side in (0, 1)
    ]
    times: list[list[float]] = [[], []]
    for _ in range(warmup + steps):
        for side, process in enumerate(sides):
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("step\n")
            process.stdin.flush()
            times[side].append(float(process.stdout.readline()))
    for process in sides:
        process.communicate()
    return times[0][warmup:], times[1][warmup:]


def main() -> None:
    """Runs a comparison and prints medians and the ratio."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark", description=__doc__)
    parser.add_argument("name", nargs="?", default="ssdlite-step", choices=SIDES)
    parser.add_argument("--batch", type=int, default=32, help="images a step (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of each side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=15, help="counted steps of each side (default: %(default)s)")
    parser.add_argument("--serve", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.name, options.serve, options.batch, options.threads)
        return
    ours, peers = compare(options.name, options.batch, options.threads, options.steps)
    ratios = sorted(a / b for a, b in zip(ours, peers, strict=True))
    print(f"{options.name}, batch {options.batch}, {options.threads} threads, {options.steps} steps each, in turn")
    print(f"litmobile {statistics.median(ours):8.1f} ms")
    print(f"peer      {statistics.median(peers):8.1f} ms")
    print(f"ratio     {statistics.median(ratios):8.3f}  (from {ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
