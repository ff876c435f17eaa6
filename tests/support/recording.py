"""What each process of a training saw, written down for tests that look on from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer


class Seen(NamedTuple):
    """Side of a step's input, and which images it held."""

    epoch: int
    side: int
    images: list[int]


class Recorder(Callback):
    """Writes the steps of a training and the parameters at its end into ``folder``, a file for each process."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.steps: list[Seen] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps.append(Seen(trainer.current_epoch, batch.images.shape[-1], batch.indices.tolist()))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (self.folder / f"{trainer.global_rank}.json").write_text(json.dumps(self.steps))
        torch.save(dict(pl_module.named_parameters()), self.folder / f"{trainer.global_rank}.pt")


def recorded(folder: Path, rank: int) -> list[Seen]:
    """What process ``rank`` has written."""
    return [Seen(*step) for step in json.loads((folder / f"{rank}.json").read_text())]
