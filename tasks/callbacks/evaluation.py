"""Writes the results of evaluations into the run's folder, and makes sure that the last epoch is validated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only

from ..atomic import save_image, write_table, write_text
from ..data.module import DataModule
from ..evidence import Evidence, evidence_path, save_evidence
from ..examples import IMAGES
from ..history import FigureHistory
from ..images import Image
from .tensorboard import log_image

KEPT_SHEETS = 5  # of validations in the folder: they show the last progress; TensorBoard has those of all


class Report(NamedTuple):
    """Result of an evaluation.

    Attributes:
        figures: figures to log, by name.
        values: plain values for a JSON file.
        text: the result as text.
        tables: tables ``[rows, columns]`` for files of their own, by name, header included.
        images: ``[H, W, 3]`` uint8, by name.
    """

    figures: dict[str, float]
    values: dict[str, Any]
    text: str
    tables: Mapping[str, Sequence[Sequence[object]]] = {}
    images: Mapping[str, Image] = {}


class EvaluatedModule(Protocol):
    """Interface of an evaluated module; see :class:`litmobile.tasks.task.Task`."""

    #: hash of the weights that were evaluated last
    evaluated_weights: str

    def report(self) -> Report:
        """Returns the result of the last evaluation."""
        ...

    def evidence(self) -> Evidence | None:
        """Returns what the last evaluation keeps of each image, in the first process; all must call it."""
        ...

    def settings(self) -> dict[str, Any]:
        """Returns plain values of what an evaluation depends on, beside weights and data."""
        ...

    def draw(self, batch: Any, predictions: Any) -> Image:
        """Draws ``batch`` with ground truth and ``predictions`` side by side."""
        ...


class EvaluationWriter(Callback):
    """Writes the result of every evaluation into the run's folder.

    ``val.json`` and ``val.txt`` (or ``test``) are the last report; ``val-NAME.csv`` and ``images/val-NAME.png`` belong
    to it, and ``val-evidence.npz`` is what the evaluation kept of each image. ``metrics.json`` is the history of
    figures. ``images/val-STEP.jpg`` is the first batch of each of the last five validations, ground truth beside
    prediction. TensorBoard shows these and the report's images of all validations of a training.

    Args:
        folder: the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._history: FigureHistory | None = None

    @rank_zero_only
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._history = FigureHistory(self.folder, trainer.global_step)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0 and trainer.is_global_zero and not trainer.sanity_checking:
            _, step = evaluated_epoch_and_step(trainer)
            sheet = cast(EvaluatedModule, pl_module).draw(batch, outputs)
            path = self.folder / IMAGES / f"val-{step:07d}.jpg"
            save_image(sheet, path)
            remove_old_sheets(path)
            show_image(trainer, "val/predictions", sheet)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "test")

    def _write(self, trainer: Trainer, module: LightningModule, split: str) -> None:
        evidence = cast(EvaluatedModule, module).evidence()
        if trainer.is_global_zero:
            self._write_files(trainer, cast(EvaluatedModule, module), evidence, split)

    def _write_files(self, trainer: Trainer, task: EvaluatedModule, evidence: Evidence | None, split: str) -> None:
        data = trainer.datamodule  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
        assert isinstance(data, DataModule)
        report = task.report()
        epoch, step = evaluated_epoch_and_step(trainer)
        identity = {"split": split, "epoch": epoch, "step": step}
        source = {"source": str(data.splits[split].source)}
        if evidence is not None:
            evaluated = {"weights": task.evaluated_weights, "settings": task.settings()}
            save_evidence(evidence_path(self.folder, split), evidence, identity | source | evaluated)
        write_text(self.folder / f"{split}.json", json.dumps(identity | source | report.values, indent=1) + "\n")
        write_text(self.folder / f"{split}.txt", report.text + "\n")
        for name, rows in report.tables.items():
            write_table(self.folder / f"{split}-{name}.csv", rows)
        for name, image in report.images.items():
            save_image(image, self.folder / IMAGES / f"{split}-{name}.png")
            show_image(trainer, f"{split}/{name}", image)
        if split == "val" and trainer.state.fn == TrainerFn.FITTING:
            assert self._history is not None
            figures = {name: value.item() for name, value in trainer.callback_metrics.items()}
            self._history.add(identity | figures)


def remove_old_sheets(newest: Path) -> None:
    """Removes the contact sheets beside ``newest``, except those of the latest steps; five sheets are left in all."""
    others = [path for path in newest.parent.glob("val-*.jpg") if path.stem[4:].isdecimal() and path != newest]
    for path in sorted(others, key=lambda path: int(path.stem[4:]))[: -(KEPT_SHEETS - 1)]:
        path.unlink(missing_ok=True)


def show_image(trainer: Trainer, name: str, image: Image) -> None:
    """Shows an image of a validation in TensorBoard if ``trainer`` trains."""
    if trainer.state.fn == TrainerFn.FITTING:
        # Lightning logs the figures of a validation at the last step before it, which a resumed run keeps
        log_image(trainer.loggers, name, image, max(0, trainer.global_step - 1))


class LastEpochValidation(Callback):
    """Validates at the end of a run, whatever the intervals of validation are, because its weights are the final ones.

    A run also ends after ``max_steps`` and when another callback, such as a timer, has stopped it.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # a run resumed within an epoch does not start that epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 == trainer.max_epochs and trainer.check_val_every_n_epoch is not None:
            trainer.check_val_every_n_epoch = 1

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        is_last = trainer.is_last_batch and trainer.current_epoch + 1 == trainer.max_epochs
        if is_last or trainer.global_step == trainer.max_steps:
            trainer.should_stop = True  # Lightning validates before it stops
        if trainer.should_stop and trainer.check_val_every_n_epoch is not None:
            trainer.check_val_every_n_epoch = 1


def evaluated_epoch_and_step(trainer: Trainer) -> tuple[int, int]:
    """Returns epoch and step of the evaluated weights: of the training, of an exported file, or of the checkpoint."""
    predictor = getattr(trainer.lightning_module, "exported", None)
    if predictor is not None:
        return predictor.epoch_and_step or (0, 0)  # an exported file need not come from a run
    if trainer.state.fn == TrainerFn.FITTING or trainer.ckpt_path is None:
        return trainer.current_epoch, trainer.global_step
    checkpoint = torch.load(trainer.ckpt_path, map_location="cpu", weights_only=True, mmap=True)
    return checkpoint["epoch"], checkpoint["global_step"]
