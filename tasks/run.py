"""The folder of a run: its files, its loggers and its lock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightning.pytorch import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from ..errors import TaskError
from .atomic import PART, remove_old_parts
from .callbacks import BestAndLastCheckpoints, EvaluationWriter, ExampleWriter, LastEpochValidation, ProgressBar
from .examples import IMAGES
from .history import MetricsLogger

CONFIG = "config.yaml"
LOCK = ".lock"
CHECKPOINTS = "checkpoints"
#: unfinished files that no other command can be writing while a training holds the lock
TRAINING_PARTS = (f"{CHECKPOINTS}/*{PART}", f"tensorboard/*{PART}", f"*metrics.*{PART}", f"*{CONFIG}*{PART}")
TRAINER_DEFAULTS: dict[str, Any] = {
    "use_distributed_sampler": False,  # the data modules' own samplers distribute the samples
    "log_every_n_steps": 20,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,  # its table says 0 FLOPs; a task logs a line instead
}


def is_new(folder: Path) -> bool:
    """Whether ``folder`` does not exist, is empty, or is left by a start that ended before training.

    A start first creates the lock. The configuration and then checkpoints are written once training has started.
    """
    if not folder.exists():
        return True
    names = {entry.name for entry in folder.iterdir() if entry.suffix != PART}
    return not names or (LOCK in names and not names & {CONFIG, CHECKPOINTS})


def remove_old_results(folder: Path) -> None:
    """Removes what killed evaluations of the run in ``folder`` did not finish writing."""
    for split in ("val", "test"):
        remove_old_parts(folder, f"{split}[.-]*")
        remove_old_parts(folder / IMAGES, f"{split}-*")
        remove_old_parts(folder / IMAGES / f"{split}-examples", "*")
    remove_old_parts(folder, "report*.html")


def checkpoint_path(folder: Path, name: str) -> Path:
    """Returns the file of the checkpoint "best" or "last" of a run."""
    return folder / CHECKPOINTS / f"{name}.ckpt"


def is_first_process() -> bool:
    """Whether this process writes the run's files; known from the environment before the processes have connected."""
    return getattr(rank_zero_only, "rank", 0) == 0


def make_loggers(folder: Path, resumed_step: int | None = None) -> list[Logger]:
    """Builds loggers for ``metrics.csv`` and ``tensorboard/``; entries before ``resumed_step`` are kept."""
    return [
        MetricsLogger(folder, resumed_step),
        TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False, purge_step=resumed_step),
    ]


def make_callbacks(folder: Path, monitor: str) -> list[Callback]:
    """Builds the callbacks of every run: results on disk, progress, checkpoints."""
    return [
        LastEpochValidation(),
        EvaluationWriter(folder),
        ExampleWriter(folder),
        ProgressBar(),
        BestAndLastCheckpoints(folder / CHECKPOINTS, monitor),
    ]


@contextmanager
def lock_run(folder: Path, was_new: bool) -> Iterator[None]:
    """Keeps other trainings out of ``folder`` until the block or the process ends.

    Files that a killed training did not finish are removed.

    Args:
        folder: the run's folder, which is created if it does not exist.
        was_new: what :func:`is_new` returned when this start decided whether to resume.

    Raises:
        TaskError: another training uses the folder, or has begun in it since.
    """
    lock = FileLock(folder / LOCK)
    try:
        while not lock.is_locked:
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # a start that failed has just removed the folder
                lock.acquire(timeout=0)
    except Timeout as error:
        raise TaskError(f"Another training writes to {folder}: wait, or choose another folder with --run.") from error
    try:
        if is_new(folder) != was_new:
            raise TaskError(f"Another training has begun in {folder}: resume it with litmobile fit --run {folder}.")
        for pattern in TRAINING_PARTS:
            for part in folder.glob(pattern):
                part.unlink()
        yield
    finally:
        lock.release()


@contextmanager
def claim_folder(path: Path, is_named: bool) -> Iterator[Path]:
    """Yields the folder of a run; what it created is removed if the block fails before training starts.

    Args:
        path: the folder.
        is_named: whether the user named it. Otherwise a folder that no other start uses is created: ``path``, or
            ``path-2``, ``path-3`` …

    Raises:
        TaskError: the name is not text, which TensorBoard needs.
    """
    if not str(path).isprintable():
        raise TaskError(f"--run={str(path)!r} is not a name of printable characters; choose another one.")
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    folder = path if is_named else create_folder(path)
    try:
        yield folder
    except BaseException:
        if is_first_process() and (created or not is_named):
            remove_unused(folder)
            with suppress(OSError):  # another start uses it
                for parent in created[1:]:
                    parent.rmdir()
        raise


def create_folder(path: Path) -> Path:
    """Creates the folder ``path``, or ``path-2``, ``path-3`` … if another start has created it, and returns it."""
    folder, number = path, 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
            folder = path.with_name(f"{path.name}-{number}")


def remove_unused(folder: Path) -> None:
    """Removes ``folder`` if it is new and no training has locked it."""
    with suppress(Timeout, OSError):
        if is_new(folder):
            with FileLock(folder / LOCK).acquire(timeout=0):
                if is_new(folder):
                    shutil.rmtree(folder, ignore_errors=True)
