"""How a study handles the ends of its processes, and what it shows."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from litmobile.tools.transfer import runner as runner_module
from litmobile.tools.transfer.launchers.launcher import End
from litmobile.tools.transfer.live import LiveView, Progress, format_seconds, read_epoch
from litmobile.tools.transfer.plan.cells import list_cells
from litmobile.tools.transfer.plan.reading import read_plan
from litmobile.tools.transfer.resolve import Resolver
from litmobile.tools.transfer.run_cell import BUSY, run_cell
from litmobile.tools.transfer.runner import Runner
from litmobile.tools.transfer.schedule import Schedule
from litmobile.tools.transfer.store import Study
from support.studies import CachingResolver, write_plan


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ScriptedLauncher:
    """Ends each cell as a test says: with a status, or 0 after storing a figure.

    Args:
        study: the study.
        statuses: exit statuses of the cells, in the order in which they start.
    """

    slots = 2
    reason = ""

    def __init__(self, study: Study, statuses: list[int]) -> None:
        self.study = study
        self.statuses: Iterator[int] = iter(statuses)
        self.started: list[str] = []
        self.is_closed = False
        self._ends: list[End] = []

    def start(self, digest: str) -> None:
        self.started.append(digest)
        status = next(self.statuses)
        if status == 0:
            record = {"figures": {"top1": 0.5}, "value": 0.5, "main_figure": "top1", "seconds": 100.0}
            self.study.finish(digest, record, {}, [])
        self._ends.append(End(digest, status, self.reason))

    def wait(self, seconds: float) -> list[End]:
        ends, self._ends = self._ends, []
        return ends

    def close(self) -> None:
        self.is_closed = True


Run = Callable[[list[int]], tuple[ScriptedLauncher, LiveView, str]]


@pytest.fixture(scope="module")
def resolver(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Resolver:
    """A plan of three cells of one group."""
    blocks = [{"backbones": ["V1"], "protocols": ["scratch"], "seeds": [0, 1, 2]}]
    return CachingResolver(
        read_plan(write_plan(tmp_path_factory.mktemp("plan") / "plan.yaml", tones, {"cells": blocks}))
    )


@pytest.fixture
def run(resolver: Resolver, tmp_path: Path) -> Run:
    """A function that runs the study with exit statuses, and returns launcher, view and output."""

    def run(statuses: list[int], stream: io.StringIO | None = None) -> tuple[ScriptedLauncher, LiveView, str]:
        study, stream = Study(tmp_path / "study"), stream or io.StringIO()
        schedule = Schedule(resolver, study, list_cells(resolver.plan))
        launcher = ScriptedLauncher(study, statuses)
        view = LiveView(study, Progress(schedule.known, launcher.slots), stream)
        Runner(schedule, study, launcher, view).run()
        return launcher, view, stream.getvalue()

    return run


def test_each_end_is_one_line_where_the_output_is_no_terminal(run: Run) -> None:
    launcher, _, printed = run([0, 0, 0])
    lines = printed.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("[2/3] tones, V1, scratch, seed 0: top1 0.5000 (2 min, ")  # two ran at a time
    assert launcher.is_closed


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (-signal.SIGKILL, "The process was killed by signal 9, as systems do when memory runs out; lower --jobs"),
        (128 + signal.SIGTERM, "It was stopped; start the study again to continue it."),
        (3, "It ended with status 3."),
    ],
)
def test_a_process_that_ends_without_figures_failed(run: Run, status: int, reason: str) -> None:
    _, view, printed = run([0, status, 0])
    (failure,) = view.progress.failed.values()
    assert failure.startswith(reason)
    assert f"FAILED tones, V1, scratch, seed 1: {reason}" in printed
    assert sum(view.study.is_finished(digest) for digest in view.progress.cells) == 2


def test_a_reason_of_the_launcher_replaces_the_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScriptedLauncher, "reason", "The process that starts cells was killed.")
    _, _, printed = run([0, -signal.SIGKILL, 0])
    assert "FAILED tones, V1, scratch, seed 1: The process that starts cells was killed. (" in printed


def test_a_cell_of_another_process_is_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "RETRY_SECONDS", 0.0)
    launcher, view, printed = run([BUSY, 0, 0, BUSY, 0])
    assert launcher.started.count(launcher.started[0]) == 3
    assert not view.progress.failed
    assert "FAILED" not in printed


def test_a_claimed_cell_is_busy(tmp_path: Path) -> None:
    study = Study(tmp_path)
    with study.claim("0a"):
        assert run_cell(Study(tmp_path), "0a") == BUSY


def test_a_finished_cell_does_not_run_again(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.finish("0a", {"figures": {}}, {}, [])
    before = (study.cell_folder("0a") / "cell.json").stat().st_mtime_ns
    assert run_cell(Study(tmp_path), "0a") == 0
    assert (study.cell_folder("0a") / "cell.json").stat().st_mtime_ns == before


def test_parts_of_a_killed_end_are_not_finished(tmp_path: Path) -> None:
    study = Study(tmp_path)
    part = tmp_path / "cells" / "0a.part"
    part.mkdir(parents=True)
    (part / "other.npz").write_bytes(b"half")
    assert not study.is_finished("0a")
    assert study.read_cells() == {}
    study.finish("0a", {"figures": {}}, {}, [])
    assert sorted(path.name for path in study.cell_folder("0a").iterdir()) == ["cell.json", "config.yaml"]
    assert not part.exists()


def test_the_table_shows_counts_epochs_and_time_left(run: Run, resolver: Resolver, tmp_path: Path) -> None:
    _, view, _ = run([0, 0, -signal.SIGKILL])
    digest = next(iter(view.progress.failed))
    view.progress.failed.clear()
    view.progress.running[digest] = 0.0
    metrics = view.study.run_folder(digest) / "metrics.csv"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("step,train/loss,epoch\n0,0.7,0\n1,0.6,1\n")
    lines = view.list_lines()
    assert lines[1].split() == ["task", "protocol", "finished", "running", "failed", "waiting"]
    assert lines[2].split() == ["tones", "scratch", "2", "1", "0", "0"]
    assert lines[3].startswith("tones, V1, scratch, seed 2: epoch 2 of 2, ")
    assert lines[4] == "2 of 3 cells, about 0 s left"


def test_a_terminal_shows_one_table_that_is_replaced(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litmobile.tools.transfer.live.REFRESH_SECONDS", 0.0)
    _, _, printed = run([0, 0, 0], Terminal())
    tables = printed.count("task   protocol")
    assert tables >= 2
    assert printed.count("\x1b[J") >= tables - 1


def test_durations_and_epochs_are_read(tmp_path: Path) -> None:
    assert [format_seconds(seconds) for seconds in (40, 150, 7500)] == ["40 s", "2 min", "2 h 05 min"]
    assert read_epoch(tmp_path / "none.csv") is None
