"""Draws the best and the worst images of evaluations into the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from ..examples import Examples, write_examples


class ExplainedModule(Protocol):
    """Interface of a module whose evaluation is drawn; see :class:`litmobile.tasks.task.Task`."""

    def examples(self) -> Examples | None:
        """Returns drawn images of the last evaluation, in the first process; all must call it."""
        ...


class ExampleWriter(Callback):
    """Writes examples of the last validation of a training, and of every evaluation without training.

    See :func:`.examples.write_examples` for the files.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_due = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        # the last validation is drawn now, before the checkpoint is written: a killed run then repeats both
        self._is_due = trainer.state.fn == TrainerFn.FITTING and not trainer.should_stop
        if not self._is_due:
            self._write(pl_module, "val")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._is_due:
            self._write(pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(pl_module, "test")

    def _write(self, module: LightningModule, split: str) -> None:
        examples = cast(ExplainedModule, module).examples()
        if examples is not None:
            write_examples(self.folder, split, examples)
