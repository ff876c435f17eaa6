"""What a job of SLURM does: it waits for the process of a cell, and stops it when SLURM wants its resources back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .launcher import STOPPED, CellProcess, end_process

PATIENCE_SECONDS = 75.0  # for a cell to write its state; SLURM ends the job 90 s after its signal
PREFIXES = ("SLURM_", "SUBMITIT_")  # of variables that would make Lightning set up SLURM's processes and signals


class CellJob:
    """A function without arguments that submitit pickles, and calls in a job.

    Args:
        cell: how the cell runs.
        digest: its hash.
        log: file of its output.
    """

    def __init__(self, cell: CellProcess, digest: str, log: Path) -> None:
        self.cell = cell
        self.digest = digest
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Runs the cell, and returns its exit status."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
        with block_user_signals():
            self._process = self.cell.start(self.digest, self.log, self.cell.environment(inherited))
        try:
            # unlike Popen.wait, this holds no lock, which checkpoint needs when it interrupts this
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            status = self._process.wait()
        except BaseException:
            self._stop()
            raise
        if status in STOPPED or status == -signal.SIGTERM:
            # by SLURM, which may queue the job again: a result would make submitit take it for an ended one
            sys.exit(128 + signal.SIGTERM)
        return status

    def checkpoint(self) -> Any:
        """Stops the cell, which writes its state, and returns what submitit queues again.

        submitit calls this on the signal that SLURM sends before it ends a job.
        """
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(CellJob(self.cell, self.digest, self.log))

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            end_process(self._process, PATIENCE_SECONDS)


@contextmanager
def block_user_signals() -> Iterator[None]:
    """Lets processes that the block starts ignore the signals that SLURM sends to all processes of a job."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
