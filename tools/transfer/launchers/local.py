"""Runs cells on this machine: one on each GPU, or else several on the CPU."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress

from ....errors import TaskError
from ..store import LOG, Study
from .launcher import CellProcess, End, Launcher, end_process

PACKAGE = __name__.rpartition(".")[0]
POLL_SECONDS = 0.2
SERVER_KILLED = "The process that starts cells was killed by signal {}; start the study again to continue this cell."
PATIENCE_SECONDS = 90.0  # for cells to write their state, and for the fork server to kill those that do not


def can_fork() -> bool:
    """Whether cells can be forks of one process; on macOS, libraries of the system do not survive a fork."""
    return sys.platform == "linux"


def make_local(study: Study, cell: CellProcess, slots: int, gpus: int) -> Launcher:
    """Returns the launcher for this machine.

    Args:
        study: the study.
        cell: how a cell runs.
        slots: cells that run at a time.
        gpus: number of GPUs; 0 to use the CPU.
    """
    if gpus or cell.workers or not can_fork():
        return ProcessLauncher(study, cell, slots, gpus)
    return ForkLauncher(study, cell, slots)


class ForkLauncher:
    """Runs cells on the CPU as forks of one process, see :mod:`.fork_server` and :func:`make_local`."""

    def __init__(self, study: Study, cell: CellProcess, slots: int) -> None:
        self.slots = slots
        self.study = study
        self.cell = cell
        self._running: set[str] = set()
        self._server: subprocess.Popen[bytes] | None = None
        self._buffer = b""

    def start(self, digest: str) -> None:
        server = self._start_server()
        assert server.stdin is not None
        self._running.add(digest)
        with suppress(BrokenPipeError):  # the next wait reports the end of the server
            server.stdin.write(json.dumps({"hash": digest, "workers": self.cell.workers}).encode() + b"\n")
            server.stdin.flush()

    def _start_server(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", f"{PACKAGE}.fork_server", str(self.study.folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self.cell.environment(),
                start_new_session=True,  # Ctrl-C reaches this process only, which then stops the cells in order
            )
        return self._server

    def wait(self, seconds: float) -> list[End]:
        if self._server is None:
            time.sleep(seconds)
            return []
        assert self._server.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._server.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return []
        received = os.read(self._server.stdout.fileno(), 1 << 16)
        if not received:
            return self._end_server()
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        ends = [End(digest.decode(), int(status)) for digest, status in (line.split() for line in lines)]
        self._running -= {end.digest for end in ends}
        return ends

    def _end_server(self) -> list[End]:
        """Reports all cells as stopped, because their server was killed."""
        assert self._server is not None
        status = self._server.wait()
        if status >= 0:
            raise TaskError(f"The process that starts cells ended with status {status}; its output is above.")
        reason = SERVER_KILLED.format(-status)
        self._server, ends = None, [End(digest, status, reason) for digest in sorted(self._running)]
        self._running = set()
        return ends

    def close(self) -> None:
        if self._server is not None:
            assert self._server.stdin is not None
            with suppress(BrokenPipeError):
                self._server.stdin.close()
            end_process(self._server, PATIENCE_SECONDS)
            self._server = None


class ProcessLauncher:
    """Runs each cell in a process of its own; on GPUs, one cell on each. See :func:`make_local`."""

    def __init__(self, study: Study, cell: CellProcess, slots: int, gpus: int) -> None:
        self.slots = slots
        self.study = study
        self.cell = cell
        self._free = list(range(slots)) if gpus else []
        self._gpus = gpus
        self._running: dict[str, tuple[subprocess.Popen[bytes], int | None]] = {}

    def start(self, digest: str) -> None:
        environment = self.cell.environment()
        slot = self._free.pop(0) if self._gpus else None
        if slot is not None:
            visible = environment.get("CUDA_VISIBLE_DEVICES", "")
            names = visible.split(",") if visible else [str(number) for number in range(self._gpus)]
            environment["CUDA_VISIBLE_DEVICES"] = names[slot % len(names)]
        process = self.cell.start(digest, self.study.work_folder(digest) / LOG, environment)
        self._running[digest] = process, slot

    def wait(self, seconds: float) -> list[End]:
        deadline = time.monotonic() + seconds
        while True:
            ends = [
                End(digest, process.returncode)
                for digest, (process, _) in self._running.items()
                if process.poll() is not None
            ]
            for end in ends:
                _, slot = self._running.pop(end.digest)
                self._free += [] if slot is None else [slot]
            if ends or time.monotonic() > deadline:
                return ends
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        for process, _ in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process, _ in self._running.values():
            end_process(process, PATIENCE_SECONDS)
        self._running = {}
