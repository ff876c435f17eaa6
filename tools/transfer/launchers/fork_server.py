"""Forks a process for each cell: ``python -m litmobile.tools.transfer.launchers.fork_server STUDY``.

Importing torch and lightning takes seconds, which a process of its own would spend again for every cell. This one
imports them once, has a single thread, computes nothing, and forks. Requests are lines of JSON on standard input, ends
are lines on standard output. When the input ends, because the study has ended or was killed, all cells are stopped.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from ..run_cell import end_with_parent, run_cell
from ..store import LOG, Study
from .launcher import FAILED

POLL_SECONDS = 0.05
PATIENCE_SECONDS = 60.0  # for cells to write their state


class ForkServer:
    """Runs cells of a study in forks of this process.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.cells: dict[int, str] = {}  # hashes by the numbers of their processes
        self._buffer = b""

    def serve(self) -> None:
        """Runs cells until the input ends."""
        gc.collect()
        gc.freeze()  # keeps memory shared between the forks
        is_open = True
        while is_open:
            if select.select([0], [], [], POLL_SECONDS)[0]:
                is_open = self._read_requests()
            self._report_ends()
        self._stop()

    def _read_requests(self) -> bool:
        """Starts the requested cells; returns whether there may be more."""
        received = os.read(0, 1 << 16)
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        for line in lines:
            self._fork(json.loads(line))
        return bool(received)

    def _fork(self, request: dict[str, Any]) -> None:
        parent = os.getpid()
        process = os.fork()
        if process:
            self.cells[process] = request["hash"]
            return
        status = FAILED
        try:
            end_with_parent(parent)
            redirect_streams(self.study.work_folder(request["hash"]) / LOG)
            status = run_cell(self.study, request["hash"], request["workers"])
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(status)

    def _report_ends(self) -> None:
        while self.cells:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            if digest := self.cells.pop(process, None):
                os.write(1, f"{digest} {os.waitstatus_to_exitcode(status)}\n".encode())

    def _stop(self) -> None:
        """Stops all cells; those that do not end in time are killed."""
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        deadline = time.monotonic() + PATIENCE_SECONDS
        sent = signal.SIGTERM
        while self.cells:
            for process in self.cells:
                os.kill(process, sent)
            while self.cells and time.monotonic() < deadline:
                process, _ = os.waitpid(-1, os.WNOHANG)
                self.cells.pop(process, None)
                time.sleep(POLL_SECONDS)
            sent, deadline = signal.SIGKILL, time.monotonic() + PATIENCE_SECONDS


def redirect_streams(log: Path) -> None:
    """Appends all output to the file ``log``, and closes the input."""
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


if __name__ == "__main__":
    ForkServer(Study(Path(sys.argv[1]))).serve()
    os._exit(0)  # else libraries would complain about objects that were frozen
