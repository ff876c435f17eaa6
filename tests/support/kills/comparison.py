"""Compares two runs of one training bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from litmobile.tools.report.command import PAGES

from .processes import FailedRunError

IGNORED = (".lock", "tensorboard")  # events contain times and the number of the process


def list_files(run: Path) -> list[str]:
    """Lists the complete files of ``run`` whose content is determined by the training."""
    files = (path.relative_to(run) for path in run.rglob("*") if path.is_file() and path.suffix != ".part")
    return sorted(path.as_posix() for path in files if path.parts[0] not in IGNORED)


def check_equal(run: Path, expected: Path) -> None:
    """Raises FailedRunError if ``run`` has other files than ``expected``, or a file differs in a bit."""
    differing = set(list_files(run)) ^ set(list_files(expected))
    for name in sorted(set(list_files(expected)) - differing):
        if name.endswith(".ckpt"):
            pair = [flatten(torch.load(folder / name, weights_only=True)) for folder in (run, expected)]
            keys = pair[0].keys() | pair[1].keys()
            differing |= {f"{name}{key}" for key in keys if not equals(*(values.get(key) for values in pair))}
        elif read_without_name(run, name) != read_without_name(expected, name):
            differing.add(name)
    if differing:
        raise FailedRunError(f"{run} differs from {expected} in {', '.join(sorted(differing)[:10])}")


def read_without_name(run: Path, name: str) -> bytes:
    """Returns the content of a file, without the name of the run, which its page says."""
    content = (run / name).read_bytes()
    return content.replace(run.name.encode(), b"RUN") if name == PAGES["val"] else content


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the values in nested dictionaries and lists by their path, e.g. ".optimizer_states.0.state"."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, entry in items for k, v in flatten(entry, f"{prefix}.{key}").items()}
    return {prefix: value}


def equals(value: Any, other: Any) -> bool:
    """Whether two values of a checkpoint are equal; tensors bit by bit."""
    if isinstance(value, torch.Tensor):
        return isinstance(other, torch.Tensor) and value.dtype == other.dtype and torch.equal(value, other)
    return value == other
