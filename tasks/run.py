"""The folder of a run: its files, its loggers and its lock."""

from __future__ import annotations

import csv
import shutil
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ..errors import TaskError
from .callbacks import BestAndLastCheckpoints, EvaluationWriter, LastEpochValidation, ProgressBar

CONFIG = "config.yaml"
METRICS = "metrics.csv"
LOCK = ".lock"
CHECKPOINTS = "checkpoints"
TRAINER_DEFAULTS: dict[str, Any] = {
    "use_distributed_sampler": False,  # the data modules' own samplers distribute the samples
    "log_every_n_steps": 20,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,  # its table says 0 FLOPs; a task logs a line instead
}


def is_new(folder: Path) -> bool:
    """Whether ``folder`` does not exist or holds only the files written before training starts."""
    return not folder.exists() or {entry.name for entry in folder.iterdir()} <= {LOCK, METRICS, "tensorboard"}


def checkpoint_path(folder: Path, name: str) -> Path:
    """Returns the file of the checkpoint "best" or "last" of a run."""
    return folder / CHECKPOINTS / f"{name}.ckpt"


def is_first_process() -> bool:
    """Whether this process writes the run's files; known from the environment before the processes have connected."""
    return getattr(rank_zero_only, "rank", 0) == 0


def make_loggers(folder: Path, resumed_step: int | None = None) -> list[Logger]:
    """Builds loggers for ``metrics.csv`` and ``tensorboard/``; entries before ``resumed_step`` are kept."""
    return [
        csv_logger(folder, resumed_step),
        TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, purge_step=resumed_step),
    ]


def csv_logger(folder: Path, resumed_step: int | None) -> CSVLogger:
    """Builds a logger for ``metrics.csv`` that keeps rows before ``resumed_step``; Lightning's own drops all rows."""
    file = folder / METRICS
    rows: list[dict[str, str]] = []
    if resumed_step is not None and file.is_file():
        with file.open(newline="") as stored:
            rows = [row for row in csv.DictReader(stored) if int(row["step"]) < resumed_step]
    logger = CSVLogger(folder, name="", version="", flush_logs_every_n_steps=50)
    if is_first_process():
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Experiment logs directory")  # writing there again is intended
            writer = logger.experiment
        writer.metrics_keys = list(rows[0]) if rows else []
        if rows:
            with file.open("w", newline="") as stored:
                table = csv.DictWriter(stored, writer.metrics_keys)
                table.writeheader()
                table.writerows(rows)
    return logger


def make_callbacks(folder: Path, monitor: str) -> list[Callback]:
    """Builds the callbacks of every run: results on disk, progress, checkpoints."""
    return [
        LastEpochValidation(),
        EvaluationWriter(folder),
        ProgressBar(),
        BestAndLastCheckpoints(folder / CHECKPOINTS, monitor),
    ]


def lock_run(folder: Path) -> AbstractContextManager[object]:
    """Keeps other trainings out of ``folder`` until the returned context or the process ends.

    Raises:
        TaskError: another training uses the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout as error:
        raise TaskError(f"Another training writes to {folder}: wait, or choose another folder with --run.") from error


@contextmanager
def remove_if_failed(folder: Path) -> Iterator[None]:
    """Removes ``folder`` if the block created it and fails before training starts."""
    existed = folder.exists()
    try:
        yield
    except BaseException:
        if not existed and is_first_process() and is_new(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise
