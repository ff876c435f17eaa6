"""Runs the cells of a study until nothing is left to run."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from ...errors import format_count
from .launchers.launcher import BUSY, STOPPED, End, Launcher
from .live import LiveView, Progress
from .schedule import Schedule
from .store import Study

WAIT_SECONDS = 1.0  # between looks at the running cells
RETRY_SECONDS = 10.0  # until a cell that another process runs is tried again
KILLED = "The process was killed by signal {}, as systems do when memory runs out; lower --jobs or the batch size."


class Runner:
    """Runs the cells of a study.

    Args:
        schedule: says which cells can run.
        study: the study's folder.
        launcher: runs cells.
        view: shows the progress, which is updated here.
    """

    def __init__(self, schedule: Schedule, study: Study, launcher: Launcher, view: LiveView) -> None:
        self.schedule = schedule
        self.study = study
        self.launcher = launcher
        self.view = view
        self.progress: Progress = view.progress
        self._queue: deque[str] = deque()
        self._busy: dict[str, float] = {}  # cells of other processes, and when to try them again

    def run(self) -> None:
        """Runs all cells; failed ones are reported and stop nothing."""
        with stop_on_signals():
            try:
                self._enqueue()
                while self._queue or self._busy or self.progress.running:
                    self._start_cells()
                    ends = self.launcher.wait(WAIT_SECONDS)
                    for end in ends:
                        self._handle(end)
                    if ends or self._busy:
                        self._enqueue()
                    self.view.refresh()
            finally:
                if self.progress.running:
                    counted = format_count(len(self.progress.running), "running cells")
                    self.view.say(f"Stopping {counted} after the current step …")
                self.launcher.close()

    def _enqueue(self) -> None:
        """Adds cells that can run now, and those that another process did not finish."""
        new = [entry.hash for entry in self.schedule.next_cells()]
        self._queue += [digest for digest in new if not self.study.is_finished(digest)]
        for note in self.schedule.take_notes():
            self.view.say(note)
        for digest in [digest for digest, moment in self._busy.items() if time.monotonic() > moment]:
            del self._busy[digest]
            if self.study.is_finished(digest):
                self.view.report_end(digest)
            else:
                self._queue.append(digest)
        self.progress.open, self.progress.dropped = self.schedule.open, self.schedule.dropped
        self.progress.more = self.schedule.count_more()

    def _start_cells(self) -> None:
        while self._queue and len(self.progress.running) < self.launcher.slots:
            digest = self._queue.popleft()
            self.study.request(self.schedule.known[digest])
            self.progress.running[digest] = time.time()
            self.launcher.start(digest)

    def _handle(self, end: End) -> None:
        """Reports the end of a cell's process."""
        self.progress.running.pop(end.digest, None)
        if self.study.is_finished(end.digest):
            self.view.report_end(end.digest)
        elif end.status == BUSY:
            self._busy[end.digest] = time.monotonic() + RETRY_SECONDS
        else:
            if end.reason or (end.status < 0 and end.status != -signal.SIGTERM):
                self.study.fail(end.digest, end.reason or KILLED.format(-end.status))
            stopped = "It was stopped; start the study again to continue it."
            default = stopped if end.status in (*STOPPED, -signal.SIGTERM) else f"It ended with status {end.status}."
            reason = self.study.failure(end.digest) or default
            self.progress.failed[end.digest] = reason
            self.schedule.fail(end.digest, reason)
            self.view.report_failure(end.digest, reason)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Lets SIGTERM end the block as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
