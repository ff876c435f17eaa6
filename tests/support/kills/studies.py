"""Kills processes of a study at random moments, starts it again each time, and compares it with an undisturbed one."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from litmobile.tools.cli import main

from ..studies import read_figures
from .processes import FailedRunError, beside

MAX_SECONDS = 1800  # for a study without a kill
POLL_SECONDS = 0.1


def list_children(process: int) -> list[int]:
    """Return the numbers of the children of a process; none if it has ended."""
    try:
        return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def pick_study(study: int) -> list[int]:
    """Return the process of the command."""
    return [study]


def pick_server(study: int) -> list[int]:
    """Return the process that starts cells."""
    return list_children(study)


def pick_cell(study: int) -> list[int]:
    """Return the process of one of the running cells."""
    return [cell for server in list_children(study) for cell in list_children(server)][:1]


def pick_all(study: int) -> list[int]:
    """Return all processes, as when a machine loses its power."""
    servers = list_children(study)
    return [study, *servers, *(cell for server in servers for cell in list_children(server))]


VICTIMS: tuple[Callable[[int], list[int]], ...] = (pick_study, pick_server, pick_cell, pick_all)


def start_study(plan: Path, folder: Path) -> BaseProcess:
    """Start a study of two cells at a time in a fork of this process; its output goes into a file."""
    process = multiprocessing.get_context("fork").Process(target=run_study, args=(plan, folder))
    process.start()
    assert process.pid is not None
    return process


def run_study(plan: Path, folder: Path) -> None:
    """Run the command in this process."""
    log = os.open(beside(folder, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    main(["transfer", str(plan), "--to", str(folder), "--jobs=2"])


def wait_for(process: BaseProcess) -> int | None:
    """Return the exit status of a process; None if it does not end."""
    process.join(MAX_SECONDS)
    return process.exitcode


def finish_study(plan: Path, folder: Path) -> float:
    """Run a study to its end, and return the seconds that it took.

    Raises:
        FailedRunError: it ended with an error.
    """
    began = time.monotonic()
    status = wait_for(start_study(plan, folder))
    if status != 0:
        raise FailedRunError(f"{folder} ended with status {status}: {beside(folder, 'log').read_text()[-3000:]}")
    return time.monotonic() - began


def kill_study(plan: Path, folder: Path, kills: int, seconds: float, seed: int = 0) -> list[str]:
    """Kill processes of a study, start it again each time, and let it end; return who was killed.

    Args:
        plan: the plan.
        folder: folder of the study.
        kills: largest number of kills; the study may end before.
        seconds: time from the start of the victim within which the moments lie.
        seed: of moments and victims.

    Raises:
        FailedRunError: a finished cell was lost or repeated.
    """
    random_source, killed = random.Random(seed), []
    finished: dict[Path, int] = {}
    while len(killed) < kills:
        process = start_study(plan, folder)
        pick = random_source.choice(VICTIMS)
        number = process.pid or 0
        while process.is_alive() and not (pick(number) if pick is pick_study else pick_cell(number)):
            time.sleep(POLL_SECONDS)  # until cells run, because a start takes long on a busy machine
        time.sleep(random_source.uniform(0, seconds))
        victims = pick(number) if process.is_alive() else []
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        killed += [pick.__name__] if victims else []
        status = wait_for(process)
        now = {path: path.stat().st_ino for path in folder.glob("cells/*/cell.json")}
        if any(now.get(path) != number for path, number in finished.items()):
            raise FailedRunError(f"{folder} lost or repeated a finished cell.")
        finished = now
        if status == 0:
            return killed
    finish_study(plan, folder)
    return killed


def check_equal_studies(folder: Path, expected: Path) -> None:
    """Raise FailedRunError if two studies differ in their cells, figures or evidence."""
    if read_figures(folder) != read_figures(expected):
        raise FailedRunError(f"{folder} has other cells or figures than {expected}.")
    for path in expected.glob("cells/*/*.npz"):
        with np.load(path) as ours, np.load(folder / path.relative_to(expected)) as theirs:
            if any(not np.array_equal(ours[name], theirs[name]) for name in ours.files):
                raise FailedRunError(f"{folder} has another {path.relative_to(expected)} than {expected}.")
