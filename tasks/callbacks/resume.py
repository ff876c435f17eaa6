"""Stores the state besides weights and optimiser that makes a resumed run bit-identical to an uninterrupted one."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from ..data.loader import ResumableLoader

CHECKPOINT_KEY = "resume"


class ExactResume(Callback):
    """Stores the state of the random generator and the loader's position in the epoch, and restores both."""

    def __init__(self) -> None:
        self._state: dict[str, Any] = {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != TrainerFn.FITTING:
            return
        state: dict[str, Any] = {"random": torch.get_rng_state()}
        if isinstance(loader := trainer.train_dataloader, ResumableLoader):
            state["position"] = loader.state_dict()
        checkpoint[CHECKPOINT_KEY] = state

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._state = checkpoint.get(CHECKPOINT_KEY, {})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if "random" in self._state:
            torch.set_rng_state(self._state["random"])
        loader = trainer.train_dataloader
        if "position" in self._state and isinstance(loader, ResumableLoader):
            # Lightning does so only for loaders that are made after the checkpoint was read
            loader.load_state_dict(self._state["position"])
        self._state = {}
