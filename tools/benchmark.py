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
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from ..backbones import MobileNetV3
from ..heads import BoxTargets, SSDLite
from ..tasks.network import Network
from ..tasks.preprocessing import Preprocessing
from .memory import keep_freed_memory

Step = Callable[[], object]

SIZE = 320
CLASSES = 90
BOXES = 7
PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}


class Setting(NamedTuple):
    """What both sides have in common; ``compiled`` is ours alone, since the peer's step does not compile whole."""

    batch: int
    device: str
    precision: str
    compiled: bool


def scene(batch: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images ``[N, H, W, 3]`` uint8, boxes ``[N, 7, 4]`` in pixels, labels ``[N, 7]`` from 0."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch, SIZE, SIZE, 3), dtype=torch.uint8, generator=generator)
    size = 20 + 140 * torch.rand(batch, BOXES, 2, generator=generator)
    corner = torch.rand(batch, BOXES, 2, generator=generator) * (SIZE - size)
    labels = torch.randint(CLASSES, (batch, BOXES), generator=generator)
    return images.to(device), torch.cat((corner, corner + size), dim=-1).to(device), labels.to(device)


def stepper(network: nn.Module, setting: Setting, loss_of: Callable[[], torch.Tensor]) -> Step:
    """Forward, loss, backward and SGD, in mixed precision where asked for."""
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    scaler = torch.amp.GradScaler(setting.device, enabled=setting.precision == "16")
    mixed = setting.precision != "32"

    def step() -> None:
        with torch.autocast(setting.device, PRECISIONS[setting.precision], enabled=mixed):
            loss = loss_of()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return step


def ssdlite_ours(setting: Setting) -> Step:
    """A training step as `litmobile fit` takes it."""
    keep_freed_memory()
    classes = [str(k) for k in range(CLASSES)]
    backbone = MobileNetV3(tail="detection", norm_momentum=0.03)
    network = Network(backbone, SSDLite, classes, Preprocessing((SIZE, SIZE)), role="detection").train()
    network.to(setting.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] — torch's stub lacks it
    if setting.compiled:
        network.compile()
    images, boxes, labels = scene(setting.batch, setting.device)
    images, targets = images.permute(0, 3, 1, 2), BoxTargets(boxes, labels)

    def loss() -> torch.Tensor:
        return torch.stack(list(network.head.loss(network(images), targets).values())).sum()

    return stepper(network, setting, loss)


def ssdlite_torchvision(setting: Setting) -> Step:
    """A training step of torchvision's reference: lists of float images, one target dictionary an image."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).train()
    network.to(setting.device)
    images, boxes, labels = scene(setting.batch, setting.device)
    pictures = list(images.permute(0, 3, 1, 2).contiguous().float() / 255)
    targets = [{"boxes": b, "labels": k + 1} for b, k in zip(boxes, labels, strict=True)]

    def loss() -> torch.Tensor:
        return torch.stack(list(network(pictures, targets).values())).sum()

    return stepper(network, setting, loss)


SIDES: dict[str, tuple[Callable[[Setting], Step], Callable[[Setting], Step]]] = {
    "ssdlite-step": (ssdlite_ours, ssdlite_torchvision),
}


def serve(name: str, side: int, setting: Setting, threads: int) -> None:
    """A side's process: takes a step for every line that comes in, and answers with its milliseconds."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    step = SIDES[name][side](setting)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        if setting.device != "cpu":
            torch.accelerator.synchronize()
        print((time.perf_counter() - start) * 1000, flush=True)


def compare(words: Sequence[str], steps: int, warmup: int = 3) -> tuple[list[float], list[float]]:
    """Milliseconds of our steps and of the peer's, taken in turn by processes that are told the same ``words``."""
    words = [sys.executable, "-m", "litmobile.tools.benchmark", *words]
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
    parser.add_argument("--device", default="cpu", help="cpu, cuda … (default: %(default)s)")
    parser.add_argument("--precision", default="32", choices=PRECISIONS, help="of both sides (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile our side")
    parser.add_argument("--serve", type=int, choices=(0, 1), help=argparse.SUPPRESS)
    options = parser.parse_args()
    setting = Setting(options.batch, options.device, options.precision, options.compile)
    if options.serve is not None:
        serve(options.name, options.serve, setting, options.threads)
        return
    ours, peers = compare(sys.argv[1:], options.steps)
    ratios = sorted(a / b for a, b in zip(ours, peers, strict=True))
    print(f"{options.name}, {setting}, {options.threads} threads, {options.steps} steps each, in turn")
    for side, times in (("litmobile", ours), ("peer", peers)):
        median = statistics.median(times)
        print(f"{side:<9} {median:8.1f} ms  {1000 * options.batch / median:7.1f} images/s")
    print(f"ratio     {statistics.median(ratios):8.3f}  (from {ratios[0]:.3f} to {ratios[-1]:.3f})")


if __name__ == "__main__":
    main()
