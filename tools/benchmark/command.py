"""Compares the speed of litmobile with its peers: `python -m litmobile.tools.benchmark`.

Each side runs in its own process and the two take steps in turn, so that other load slows both equally. The result
is the median ratio of neighbouring steps with its 90 % interval. The peers of SSDLite and LR-ASPP run as they ship;
backbones and the training steps of classification use channels-last memory on both sides. Reading images is timed in
one process, as one worker does it. `--device cuda` without names runs a prepared script of at most eight minutes.
"""

from __future__ import annotations

import argparse

import torch

from ...errors import suggest
from .comparisons import GROUPS, SIDES
from .measurement import SideProcesses, Summary
from .prepared import gpu
from .sides import PRECISIONS, Setting

DEFAULT = "ssdlite-step"


def parse_name(text: str) -> str:
    """Checks the name of a comparison or group."""
    if text not in SIDES and text not in GROUPS:
        raise argparse.ArgumentTypeError(f"the comparison {text} is unknown{suggest(text, [*SIDES, *GROUPS])}")
    return text


def parse_count(text: str) -> int:
    """Parses a whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1.")
    return int(text)


def parse_device(text: str) -> str:
    """Checks that this machine has the device."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    available = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    if text.partition(":")[0] not in available:
        raise argparse.ArgumentTypeError(f"this machine has no device {text}, only {' and '.join(available)}.")
    return text


def main() -> None:
    """Runs the comparisons that the command line names and prints their results."""
    parser = argparse.ArgumentParser("python -m litmobile.tools.benchmark", description=__doc__)
    parser.add_argument(
        "names", nargs="*", type=parse_name, metavar="NAME",
        help=f"comparisons: {', '.join(SIDES)}, or one of the groups {', '.join(GROUPS)} (default: {DEFAULT} on a CPU)",
    )  # fmt: skip
    parser.add_argument("--batch", type=parse_count, default=32, help="images per step (default: %(default)s)")
    parser.add_argument(
        "--threads", type=parse_count, default=2, help="CPU threads of each side (default: %(default)s)"
    )
    parser.add_argument("--steps", type=parse_count, default=15, help="measured steps per side (default: %(default)s)")
    parser.add_argument(
        "--device", type=parse_device, default="cpu", help="where both sides run, e.g. cuda (default: %(default)s)"
    )
    parser.add_argument("--precision", default="32", choices=PRECISIONS, help="of both sides (default: %(default)s)")
    parser.add_argument("--compile", action="store_true", help="compile our networks")
    options = parser.parse_args()
    if not options.names and options.device != "cpu":
        gpu.run(options.device, options.threads)
        return
    setting = Setting(options.batch, options.device, options.precision, options.compile)
    names = [name for given in options.names or [DEFAULT] for name in GROUPS.get(given, [given])]
    print(f"litmobile, then its peer: {setting}, {options.threads} threads, {options.steps} steps each, in turn")
    for name in names:
        with SideProcesses(name, setting, options.threads) as sides:
            summary = Summary.of(sides.measure(options.steps), options.batch)
        print(f"{name:<28}{summary}", flush=True)
