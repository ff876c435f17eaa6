"""Stops a training whose loss is NaN or infinite, without synchronising with the device in every step."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from ...errors import LossError
from ..data.module import DataModule


class Step(NamedTuple):
    """A training step: its number, the indices of its images (None with a user's own loader), and its loss."""

    number: int
    images: Tensor | None
    loss: Tensor


class NonFiniteLossGuard(Callback):
    """Checks the losses of the last steps every ``log_every_n_steps`` steps and before every checkpoint.

    Checking makes the CPU wait for the accelerator; remembering the losses does not.

    Raises:
        LossError: a loss is NaN or infinite. The message names the step and the files of its batch.
    """

    def __init__(self) -> None:
        self._recent: list[Step] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._recent.append(Step(trainer.global_step, getattr(batch, "indices", None), outputs["loss"]))
        if len(self._recent) >= max(1, trainer.log_every_n_steps):  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
            self.check(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Prevents weights that a non-finite loss has spoilt from replacing good ones."""
        self.check(trainer)

    def check(self, trainer: Trainer) -> None:
        """Checks the losses of the remembered steps, and forgets these steps.

        Raises:
            LossError: a loss is NaN or infinite.
        """
        recent, self._recent = self._recent, []
        losses = torch.stack([step.loss for step in recent]).tolist() if recent else []
        for step, loss in zip(recent, losses, strict=True):
            if not math.isfinite(loss):
                raise LossError(
                    f"The loss of step {step.number} is {loss}: lower the learning rate, or check "
                    f"{name_images(trainer, step.images)}."
                )


def name_images(trainer: Trainer, indices: Tensor | None) -> str:
    """Returns what to check in a batch: its files, if they come from a data module of litmobile."""
    data = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
    if indices is None or not isinstance(data, DataModule):
        return "the images and targets of its batch"
    files = ", ".join(str(data.splits["train"].path(index)) for index in indices.tolist())
    return f"the files of its batch: {files}"
