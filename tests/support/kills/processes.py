"""Runs ``litmobile fit`` in a process that is killed after some seconds, or when it writes a certain file.

Processes are forks of this one, which has imported everything, because importing takes longer than these trainings.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from litmobile.tools import training  # noqa: F401 — imported once for all processes
from litmobile.tools.cli import main

Moment = Literal["before", "torn", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "torn", "after")
MAX_SECONDS = 900  # for a training without a kill; a longer one hangs


class FailedRunError(Exception):
    """A training ended with an error, did not end, or ended in another state."""


class Aim(NamedTuple):
    """The write of a file at which a process kills itself.

    Attributes:
        file: the file; see :func:`generalise`.
        moment: before the new file gets its name, before that with half of its content, or after.
        skipped: number of earlier writes of the file in this process.
    """

    file: str
    moment: Moment
    skipped: int


def generalise(run: Path, path: str | Path) -> str:
    """Returns the path of a file in its run with a star for each number, e.g. "images/val-*.jpg"."""
    return re.sub(r"\d+", "*", Path(path).relative_to(run).as_posix())


def beside(run: Path, suffix: str) -> Path:
    """Returns the path of a file beside the folder ``run``."""
    return run.with_name(f"{run.name}.{suffix}")


def start(run: Path, words: Sequence[str], aim: Aim | None = None, seconds: float = MAX_SECONDS) -> bool:
    """Starts or resumes a training; returns whether it was killed.

    Args:
        run: the run's folder; the output is added to a ".log" file of the same name.
        words: options of ``litmobile fit`` for a new run.
        aim: the write at which the process is killed.
        seconds: time after which the process is killed.

    Raises:
        FailedRunError: the process failed by itself, or did not end.
    """
    options = [] if (run / "config.yaml").is_file() else words
    process = multiprocessing.get_context("fork").Process(target=_fit, args=(run, options, aim))
    process.start()
    process.join(seconds)
    if is_late := process.is_alive():
        process.kill()
        process.join()
    log = beside(run, "log")
    if process.exitcode not in (0, -signal.SIGKILL):
        raise FailedRunError(f"{run} ended with status {process.exitcode}: {log.read_text()[-1500:]}")
    if is_late and seconds == MAX_SECONDS:
        raise FailedRunError(f"{run} did not end within {seconds} s: {log.read_text()[-1500:]}")
    return process.exitcode != 0


def list_writes(run: Path) -> list[str]:
    """Lists the files that the trainings in ``run`` replaced, one entry for each write; see :func:`generalise`."""
    return beside(run, "writes").read_text().split()


def _fit(run: Path, words: Sequence[str], aim: Aim | None) -> None:
    log = os.open(beside(run, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    torch.set_num_threads(1)
    os.replace = _watch(run, os.replace, aim)
    main(["fit", *words, "--run", str(run)])


def _watch(run: Path, replace: Callable[..., None], aim: Aim | None) -> Callable[..., None]:
    """Returns ``os.replace`` that records which of the run's files it replaces, and kills the process at ``aim``."""
    before = 0

    def watched(source: Any, target: Any) -> None:
        nonlocal before
        if run not in Path(target).parents:
            return replace(source, target)
        name = generalise(run, target)
        moment = aim.moment if aim is not None and aim.file == name and aim.skipped == before else None
        before += aim is not None and aim.file == name
        if moment == "torn":
            os.truncate(source, Path(source).stat().st_size // 2)
        if moment in (None, "after"):
            replace(source, target)
        if moment is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        with beside(run, "writes").open("a") as record:
            record.write(f"{name}\n")

    return watched
