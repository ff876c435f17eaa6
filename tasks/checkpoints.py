"""Checkpoints on disk: whole or absent, and only those of the network that a run builds."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from ..backbones.contract import Configurable
from ..backbones.weights import read_checkpoint
from ..errors import CheckpointError, TaskError
from .files import listed
from .network import Network


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the file that it then replaces: a reader finds the old one or the new one, whole.

    Lightning's own writes to the system's temporary folder and copies from there, which a full disk or a kill cuts
    short.
    """

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        checkpoint = read_checkpoint(Path(path))  # whatever is asked: no code is run
        if not isinstance(checkpoint, dict) or "network" not in checkpoint:
            raise TaskError(f"{path} is no checkpoint of a run of litmobile.")
        return checkpoint

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        content = io.BytesIO()
        torch.save(checkpoint, content)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except OSError as error:
            part.unlink(missing_ok=True)
            before = "the one before is still there" if target.is_file() else "there is none yet"
            raise CheckpointError(f"{target} could not be written ({error.strerror}); {before}.") from error


def check_same_network(checkpoint: dict[str, Any], network: Network) -> None:
    """Refuses the checkpoint of another network in one sentence, where PyTorch would list every tensor.

    Raises:
        TaskError: classes, maps, parts or shapes differ, or it is no checkpoint of litmobile.
    """
    stored, own = checkpoint.get("network"), network.config()
    if stored is None:
        raise TaskError("The checkpoint holds no network of litmobile.")
    for part in ("classes", "feature_maps"):
        if list(stored[part]) != own[part]:
            raise TaskError(f"The checkpoint was trained with other {part}: {contrast(list(stored[part]), own[part])}.")
    for part in ("backbone", "head"):
        if stored[part]["class_path"] != own[part]["class_path"]:
            raise TaskError(
                f"The checkpoint holds a {stored[part]['class_path']} as {part}, this run builds a "
                f"{own[part]['class_path']}."
            )
    shapes = {f"network.{name}": list(value.shape) for name, value in network.state_dict().items()}
    theirs = {name: list(value.shape) for name, value in checkpoint["state_dict"].items()}
    unlike = [name for name in {**shapes, **theirs} if shapes.get(name) != theirs.get(name)]
    if unlike:
        part = unlike[0].split(".")[1]
        differing = differences(stored[part]["init_args"], network.get_submodule(part))
        raise TaskError(
            f"The checkpoint does not fit: {unlike[0]} is {theirs.get(unlike[0], 'absent')} there and "
            f"{shapes.get(unlike[0], 'absent')} here{differing}."
        )


def contrast(there: Sequence[str], here: Sequence[str]) -> str:
    """What two lists of names do not share, in words."""
    only = (
        (listed([name for name in ours if name not in theirs]), where)
        for ours, theirs, where in ((there, here, "there"), (here, there, "here"))
    )
    said = [f"{names} only {where}" for names, where in only if names]
    return ", ".join(said) or f"in another order, {listed(there)} there"


def differences(stored: dict[str, Any], part: Any) -> str:
    """In words, which arguments ``part`` was built with that the checkpoint's was not."""
    assert isinstance(part, Configurable)
    there = part.defaults() | stored
    names = [name for name, value in part.arguments.items() if name in there and plain(there[name]) != plain(value)]
    return "".join(f", where the {type(part).__name__} has {k}={part.arguments[k]!r}, not {there[k]!r}" for k in names)


def plain(value: Any) -> Any:
    """Tuples as lists, which checkpoints do not tell apart."""
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value
