"""The view of a study while it runs: lines about events, and on a terminal a table that is drawn again and again."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ...tasks.history import METRICS
from ..text_tables import table
from .plan.cells import Cell
from .resolve import ResolvedCell
from .store import Study

REFRESH_SECONDS = 2.0
STATES = ("finished", "running", "failed", "waiting")
DROPPED = "dropped"  # a state in a race only


@dataclass
class Progress:
    """The state of a study in this session.

    Attributes:
        cells: all cells that can run or have run, by hash.
        slots: cells that run at a time.
        running: times at which the running cells started, by hash.
        failed: reasons of failures in this session, by hash.
        open: main cells that run later.
        dropped: main cells that do not run, because their backbone has dropped out of the race.
        more: number of cells of more seeds that are decided later.
    """

    cells: dict[str, ResolvedCell]
    slots: int
    running: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    open: Sequence[Cell] = ()
    dropped: Sequence[Cell] = ()
    more: int = 0


class LiveView:
    """Prints what happens in a study.

    Args:
        study: its folder.
        progress: its state, which changes.
        stream: where to print. A table is drawn if it is a terminal.
    """

    def __init__(self, study: Study, progress: Progress, stream: TextIO | None = None) -> None:
        self.study = study
        self.progress = progress
        self.stream = sys.stdout if stream is None else stream
        self.draws = self.stream.isatty()
        self._drawn = 0  # lines of the table on the terminal
        self._next = 0.0

    def say(self, text: str) -> None:
        """Prints a line above the table."""
        self._erase()
        print(text, file=self.stream, flush=True)

    def report_end(self, digest: str) -> None:
        """Prints that a cell is finished, with its main figure."""
        record = self.study.read_cell(digest)
        done, total = self._count()
        outcome = f"{record['main_figure']} {format_value(record['value'])}"
        if record.get("diverged"):
            outcome = "diverged"
        seconds = format_seconds(record["seconds"])
        self.say(f"[{done}/{total}] {self.progress.cells[digest].cell}: {outcome} ({seconds}, {digest})")

    def report_failure(self, digest: str, reason: str) -> None:
        """Prints that a cell has failed."""
        self.say(f"FAILED {self.progress.cells[digest].cell}: {reason} ({self.study.work_folder(digest)})")

    def refresh(self) -> None:
        """Draws the table on a terminal, if the last one is old enough."""
        if self.draws and time.monotonic() >= self._next:
            self._next = time.monotonic() + REFRESH_SECONDS
            lines = self.list_lines()
            self._erase()
            print("\n".join(lines), file=self.stream, flush=True)
            self._drawn = len(lines)

    def list_lines(self) -> list[str]:
        """Returns the lines of the table: counts by task and protocol, running cells, and the time left."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for digest, entry in self.progress.cells.items():
            counts[entry.cell.task, describe_protocol(entry.cell), self._state(digest)] += 1
        for state, cells in (("waiting", self.progress.open), (DROPPED, self.progress.dropped)):
            counts.update((cell.task, describe_protocol(cell), state) for cell in cells)
        states = [*STATES, *([DROPPED] if self.progress.dropped else [])]
        rows: list[list[str]] = []
        for task, protocol in dict.fromkeys(key[:2] for key in counts):
            rows.append([task, protocol, *(str(counts[task, protocol, state]) for state in states)])
        running = [f"{self.progress.cells[digest].cell}: {self._position(digest)}" for digest in self.progress.running]
        done, total = self._count()
        left = estimate_left(self.progress, self.study)
        end = f"{done} of {total} cells" + ("" if left is None else f", about {format_seconds(left)} left")
        return ["", *table(["task", "protocol", *states], rows, left=(0, 1)).splitlines(), *running, end]

    def _erase(self) -> None:
        if self._drawn:
            print(f"\x1b[{self._drawn}F\x1b[J", end="", file=self.stream)
            self._drawn = 0

    def _count(self) -> tuple[int, int]:
        """Returns the number of finished cells, and that of all cells that are not dropped."""
        cells = self.progress.cells
        total = len(cells) + len(self.progress.open) + self.progress.more
        return sum(self.study.is_finished(digest) for digest in cells), total

    def _state(self, digest: str) -> str:
        if digest in self.progress.running:
            return "running"
        if self.study.is_finished(digest):
            return "finished"
        return "failed" if digest in self.progress.failed else "waiting"

    def _position(self, digest: str) -> str:
        """Describes how far a running cell is."""
        epoch = read_epoch(self.study.run_folder(digest) / METRICS)
        elapsed = format_seconds(time.time() - self.progress.running[digest])
        limit = self.progress.cells[digest].config["trainer"].get("max_epochs")
        of = f" of {limit}" if limit and limit > 0 else ""
        return f"{'starting' if epoch is None else f'epoch {epoch + 1}{of}'}, {elapsed}"


def describe_protocol(cell: Cell) -> str:
    """Returns the protocol of a cell, or that it serves the choice of a learning rate."""
    return cell.protocol if cell.role == "main" else f"{cell.protocol}: learning rates"


def read_epoch(metrics: Path) -> int | None:
    """Returns the epoch of the last row of a run's metrics; None before the first."""
    try:
        with metrics.open(newline="") as file:
            epochs = [row["epoch"] for row in csv.DictReader(file) if row.get("epoch")]
        return int(float(epochs[-1])) if epochs else None
    except (OSError, ValueError, csv.Error):
        return None


def estimate_left(progress: Progress, study: Study) -> float | None:
    """Returns the seconds that the remaining cells will take; None before a cell of each kind has finished.

    A cell is expected to take as long as finished ones of its task, backbone and protocol, or else of its task.
    Cells of more seeds that are decided later are left out.
    """
    known: dict[tuple[str, ...], list[float]] = {}
    for digest, entry in progress.cells.items():
        if study.is_finished(digest):
            for key in keys_of(entry.cell):
                known.setdefault(key, []).append(study.read_cell(digest)["seconds"])
    now = time.time()
    left = [(cell, 0.0) for cell in progress.open]
    left += [
        (entry.cell, now - progress.running.get(digest, now))
        for digest, entry in progress.cells.items()
        if not study.is_finished(digest) and digest not in progress.failed
    ]
    seconds = 0.0
    for cell, spent in left:
        found = next((known[key] for key in keys_of(cell) if key in known), None)
        if found is None:
            return None
        seconds += max(0.0, mean(found) - spent)
    return seconds / progress.slots


def keys_of(cell: Cell) -> list[tuple[str, ...]]:
    """Returns what a cell shares with others that take as long, the most similar first."""
    return [
        (cell.role, cell.task, cell.protocol, cell.backbone),
        (cell.role, cell.task, cell.protocol),
        (cell.role, cell.task),
    ]


def mean(values: Sequence[float]) -> float:
    """Returns the mean."""
    return sum(values) / len(values)


def format_value(value: Any) -> str:
    """Formats a figure."""
    return "undefined" if value is None else f"{value:.4f}"


def format_seconds(seconds: float) -> str:
    """Formats a duration, e.g. "2 h 05 min", "3 min" or "40 s"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
