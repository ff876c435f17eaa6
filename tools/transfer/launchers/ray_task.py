"""What a worker of Ray does: it waits for the process of a cell, and stops it when the task is cancelled."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .launcher import CellProcess, end_process

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 75.0  # for a cell to write its state


def run_task(cell: CellProcess, digest: str, log: Path) -> int:
    """Runs a cell to its end, and returns its exit status.

    A process of its own can be stopped by a signal, and leaves no threads or settings to the worker's next task.

    Args:
        cell: how the cell runs.
        digest: its hash.
        log: file of its output.
    """
    process = cell.start(digest, log)
    try:
        while True:
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:  # Ray's KeyboardInterrupt does not end a call that waits
                continue
    finally:
        if process.returncode is None:
            process.terminate()
            end_process(process, PATIENCE_SECONDS)
