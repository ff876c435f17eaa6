"""Checkpoints of the best and the last weights, written at intervals and on signals."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
CONTINUE, SAVE, STOP = 0, 1, 2  # actions after a step; processes agree on the highest


class Stopped(Exception):  # noqa: N818 — asked for, not an error
    """A signal has ended the run, after its state was written.

    Attributes:
        signal: number of the signal.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


class BestAndLastCheckpoints(Checkpoint):
    """Keeps ``best.ckpt``, of the validation with the highest figure, and ``last.ckpt``, from which a run resumes.

    ``last.ckpt`` is written after every epoch, every few minutes, and before the run stops. Ctrl-C and SIGTERM stop it
    after the current step. A second Ctrl-C stops it at once; ``last.ckpt`` stays valid.

    Args:
        folder: folder of the two files.
        monitor: name of the figure, e.g. "val/AP".
        minutes: time between checkpoints within an epoch.
    """

    def __init__(self, folder: Path, monitor: str, minutes: float = 15.0) -> None:
        self.folder = folder
        self.monitor = monitor
        self.seconds = 60 * minutes
        self.best: float | None = None
        self.received = 0
        self._written = time.monotonic()
        self._handlers: dict[int, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._written = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._receive) for number in STOP_SIGNALS}

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = number
        rank_zero_info("\nStopping after this step. Press Ctrl-C again to stop at once.")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        figure = trainer.callback_metrics.get(self.monitor)
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or figure is None:
            return
        if self.best is None or figure.item() > self.best:
            self.best = figure.item()
            self._save(trainer, "best")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # an epoch's last batch is followed by its validation and its end, which the checkpoint should contain
        if not trainer.is_last_batch and (action := self._next_action(trainer, batch_idx)) != CONTINUE:
            self._write(trainer)
            if action == STOP:
                self._stop(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer)
        if self._agree(trainer, STOP if self.received else CONTINUE) == STOP:
            self._stop(trainer)

    def _next_action(self, trainer: Trainer, batch_idx: int) -> int:
        """Returns the next action; several processes agree on it only every few steps, because that takes time."""
        late = time.monotonic() - self._written > self.seconds
        own = STOP if self.received else SAVE if late else CONTINUE
        if trainer.world_size == 1:
            return own
        # Lightning sets the attribute in a connector, so its type is not declared
        every = trainer.log_every_n_steps  # pyright: ignore[reportAttributeAccessIssue] — see above
        return self._agree(trainer, own) if (batch_idx + 1) % every == 0 else CONTINUE

    def _agree(self, trainer: Trainer, own: int) -> int:
        return int(trainer.strategy.reduce(torch.tensor(own, device=trainer.strategy.root_device), reduce_op="max"))

    def _write(self, trainer: Trainer) -> None:
        self._save(trainer, "last")
        self._written = time.monotonic()

    def _save(self, trainer: Trainer, name: str) -> None:
        for logger in trainer.loggers:  # first, because a run that resumes from the checkpoint logs only later steps
            logger.save()
        trainer.save_checkpoint(self.folder / f"{name}.ckpt")

    def _stop(self, trainer: Trainer) -> None:
        state = self.folder / "last.ckpt"
        raise Stopped(f"stopped after step {trainer.global_step}; its state is in {state}", self.received)
