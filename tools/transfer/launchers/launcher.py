"""What all launchers have in common: the same cells give the same results with each.

This module imports neither torch nor Lightning, because the processes that only wait for cells on clusters import it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from ....errors import UserError

FINISHED, FAILED, BUSY = 0, 1, 75  # exit statuses of cells; 75 is EX_TEMPFAIL
STOPPED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM))
RUN_CELL = f"{__name__.rpartition('.launchers')[0]}.run_cell"


class End(NamedTuple):
    """The end of a cell's process.

    Attributes:
        digest: the cell's hash.
        status: exit status; negative for the signal that killed it.
        reason: why it failed, in one sentence, if that is another reason than what the cell or its status says.
    """

    digest: str
    status: int
    reason: str = ""


class Launcher(Protocol):
    """Runs cells that the study has requested.

    Attributes:
        slots: number of cells that run at a time.
    """

    slots: int

    def start(self, digest: str) -> None:
        """Starts a cell; at most :attr:`slots` run at a time."""
        ...

    def wait(self, seconds: float) -> list[End]:
        """Returns cells that have ended; waits for at most ``seconds`` if none has."""
        ...

    def close(self) -> None:
        """Stops all cells, which write their state, and waits for their ends."""
        ...


@dataclass(frozen=True)
class CellProcess:
    """How a cell runs in a process of its own, on this machine or on another one.

    Attributes:
        study: folder of the study, an absolute path.
        current: the current folder, to which paths in the plan are relative.
        threads: CPU threads of a cell.
        workers: processes of a cell that read data; None for the number in its configuration.
    """

    study: Path
    current: Path
    threads: int
    workers: int | None

    def environment(self, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Returns the environment of the process."""
        # else a process that only looks for GPUs could not be forked any more
        return {**inherited, "OMP_NUM_THREADS": str(self.threads), "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}

    def start(self, digest: str, log: Path, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts the process. It stops when the one that called this ends, as far as the system can do that.

        Args:
            digest: the cell's hash.
            log: file to which the output is added; the study has created its folder.
            environment: of the process; :meth:`environment` by default.

        Raises:
            UserError: a folder is not on this machine.
        """
        for folder in (log.parent, self.current):
            if not folder.is_dir():
                host = socket.gethostname()
                raise UserError(f"{folder} is not on {host}; start the study in folders that all machines share.")
        words = [] if self.workers is None else ["--workers", str(self.workers)]
        with log.open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", RUN_CELL, str(self.study), digest, *words, "--parent", str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                cwd=self.current,
                env=self.environment() if environment is None else environment,
                start_new_session=True,  # Ctrl-C reaches the study only, which then stops the cells in order
            )


def end_process(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits for the end of a process that was told to stop, and kills it if that takes longer than ``seconds``."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
