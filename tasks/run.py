"""A run's folder: what it holds, and the callbacks that fill it."""

from __future__ import annotations

import csv
import json
import shutil
import time
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_only

from ..errors import TaskError
from .data import DataModule
from .drawing import save_image
from .processes import is_first_process
from .restart import Checkpoints
from .task import Task

CONFIG = "config.yaml"
METRICS = "metrics.csv"
LOCK = ".lock"
TRAINER_DEFAULTS: dict[str, Any] = {
    "use_distributed_sampler": False,  # the data modules' own samplers share samples out
    "log_every_n_steps": 20,
    "num_sanity_val_steps": 0,
}
DRAW_SECONDS = 0.2  # from one drawing of the bar to the next; drawing takes longer than a quick step's bookkeeping
CHECKPOINTS = "checkpoints"
PICTURES = "pictures"


def is_new(folder: Path) -> bool:
    """Whether ``folder`` is absent, or holds nothing but what comes before a training begins."""
    return not folder.exists() or {entry.name for entry in folder.iterdir()} <= {LOCK, METRICS, "tensorboard"}


def loggers(folder: Path, resumed_step: int | None = None) -> list[Logger]:
    """CSV in ``metrics.csv`` and events in ``tensorboard/``; what a run had logged up to ``resumed_step`` stays."""
    return [
        continued_csv(folder, resumed_step),
        TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, purge_step=resumed_step),
    ]


def continued_csv(folder: Path, resumed_step: int | None) -> CSVLogger:
    """A logger into ``metrics.csv`` that keeps the rows before ``resumed_step``, where Lightning's drops them all."""
    file = folder / METRICS
    rows: list[dict[str, str]] = []
    if resumed_step is not None and file.is_file():
        with file.open(newline="") as stored:
            rows = [row for row in csv.DictReader(stored) if int(row["step"]) < resumed_step]
    logger = CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)
    if is_first_process():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Experiment logs directory")  # it is to be written to again
            writer = logger.experiment
        writer.metrics_keys = list(rows[0]) if rows else []
        if rows:
            with file.open("w", newline="") as stored:
                table = csv.DictWriter(stored, writer.metrics_keys)
                table.writeheader()
                table.writerows(rows)
    return logger


def callbacks(folder: Path, task: Task) -> list[Callback]:
    """What every run does beside training: reports and pictures, progress, checkpoints."""
    return [Reports(folder), Progress(), Checkpoints(folder / CHECKPOINTS, task.monitor)]


class NoProfiler(PassThroughProfiler):
    """Times nothing, without the context manager that Lightning makes for every hook of every callback."""

    _nothing = nullcontext()

    # Lightning types it as the generator that it need not be
    def profile(self, action_name: str) -> AbstractContextManager[None]:  # pyright: ignore[reportIncompatibleMethodOverride] — above
        return self._nothing


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other trainings out of ``folder`` while the block runs; a lock goes with its process, however that ends.

    Raises:
        TaskError: another training is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TaskError(
            f"Another training writes to {folder}: wait for it, or choose another folder with --run."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def remove_if_failed(folder: Path) -> Iterator[None]:
    """Removes ``folder`` if the block made it and fails before a training begins there."""
    made = not folder.exists()
    try:
        yield
    except BaseException:
        if made and is_first_process() and is_new(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


class CpuThreads(Callback):
    """Limits the threads of a training on a CPU.

    Where steps are small, threads wait for each other more than they compute, and on a machine that is shared they wait
    for every core that something else uses.

    Args:
        count: threads of a process.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        torch.set_num_threads(self.count)


class Reports(Callback):
    """Writes what every evaluation found.

    ``val.json`` and ``val.txt`` (or ``test``) hold the last report, ``val-NAME.csv`` and ``pictures/val-NAME.png`` what
    belongs to it, ``metrics.json`` the figures over time, ``pictures/val-STEP.jpg`` the first batch of each validation,
    truth beside prediction. A training's last epoch is always validated.

    Args:
        folder: the run's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validate_last(trainer)  # Lightning starts no epoch anew that a run goes on within

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._validate_last(trainer)

    def _validate_last(self, trainer: Trainer) -> None:
        """Has the last epoch validated, of whatever number it is: its weights are what a training was for."""
        if trainer.current_epoch + 1 == trainer.max_epochs and trainer.check_val_every_n_epoch is not None:
            trainer.check_val_every_n_epoch = 1

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
            assert isinstance(pl_module, Task)
            pictures = self.folder / PICTURES
            pictures.mkdir(parents=True, exist_ok=True)
            pl_module.draw(batch, pictures / f"val-{epoch_and_step(trainer, pl_module)[1]:07d}.jpg")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._write(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, pl_module, "test")

    @rank_zero_only
    def _write(self, trainer: Trainer, task: LightningModule, split: str) -> None:
        assert isinstance(task, Task) and task.report is not None
        self.folder.mkdir(parents=True, exist_ok=True)
        epoch, step = epoch_and_step(trainer, task)
        where = {"split": split, "epoch": epoch, "step": step}
        data = getattr(trainer, "datamodule", None)
        assert isinstance(data, DataModule)
        head = {**where, "source": str(data.splits[split].source)}
        (self.folder / f"{split}.json").write_text(json.dumps(head | task.report.values, indent=1) + "\n")
        (self.folder / f"{split}.txt").write_text(task.report.table + "\n")
        for name, rows in task.report.tables.items():
            with (self.folder / f"{split}-{name}.csv").open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)
        for name, picture in task.report.pictures.items():
            (self.folder / PICTURES).mkdir(exist_ok=True)
            save_image(picture, self.folder / PICTURES / f"{split}-{name}.png")
        if split == "val" and trainer.state.fn == "fit":
            history = self.folder / "metrics.json"
            entries = json.loads(history.read_text()) if history.is_file() else []
            # what came later was lost with an interruption, and is done again
            earlier = [entry for entry in entries if entry["step"] < trainer.global_step]
            logged = {k: v.item() for k, v in trainer.callback_metrics.items()} | {"train/loss": task.last_loss}
            history.write_text(json.dumps([*earlier, where | logged], indent=1) + "\n")


def epoch_and_step(trainer: Trainer, task: Task) -> tuple[int, int]:
    """Of the weights that ``task`` has: those of a training under way, or else of the checkpoint."""
    if trainer.state.fn == TrainerFn.FITTING or task.saved_at is None:
        return trainer.current_epoch, trainer.global_step
    return task.saved_at


class Progress(TQDMProgressBar):
    """Lightning's bar with the loss, images a second and the time left for the whole run's training steps."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=1)
        self._shown = 0.0  # when the bar was drawn last
        self._previous: float | None = None  # when the step before ended; None after a pause that is not training
        self._recent: deque[tuple[float, int]] = deque(maxlen=100)  # seconds and images of the last steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._previous is not None:
            self._recent.append((now - self._previous, len(batch.indices) * trainer.world_size))
        self._previous = now
        if now - self._shown > DRAW_SECONDS or trainer.is_last_batch:
            self._shown = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        self._previous = None

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_validation_start(trainer, pl_module)
        self._previous = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Ends the bars, so that what is said of it has a line of its own."""
        for bar in (self._train_progress_bar, self._val_progress_bar, self._test_progress_bar):
            if bar is not None:
                bar.close()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        metrics: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        metrics.pop("v_num", None)
        if isinstance(pl_module, Task) and pl_module.last_loss is not None:
            metrics["loss"] = f"{pl_module.last_loss:.3f}"
        if self._recent:
            seconds = sum(seconds for seconds, _ in self._recent)
            metrics["images/s"] = f"{sum(images for _, images in self._recent) / seconds:.0f}"
            steps_left = trainer.estimated_stepping_batches - trainer.global_step
            if steps_left != float("inf"):
                steps = len(self._recent) / trainer.accumulate_grad_batches
                metrics["left"] = duration(seconds / steps * steps_left)
        return metrics


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    hours, rest = divmod(max(0, round(seconds)), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def checkpoint(folder: Path, name: str) -> Path:
    """File of the checkpoint "best" or "last" of a run."""
    return folder / CHECKPOINTS / f"{name}.ckpt"
