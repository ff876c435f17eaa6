"""Launchers: the same cells give the same figures with each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from litmobile.tools.cli import main
from litmobile.tools.transfer.launchers.launcher import CellProcess
from litmobile.tools.transfer.launchers.local import ForkLauncher, ProcessLauncher, can_fork, make_local
from litmobile.tools.transfer.store import Study
from support.studies import read_figures, run_study, write_plan

BLOCKS = [{"backbones": ["V1"], "protocols": ["scratch"], "seeds": [0, 1]}]


@pytest.fixture(scope="module")
def figures(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of both cells when they run in this process."""
    folder = tmp_path_factory.mktemp("expected")
    run_study(write_plan(folder / "plan.yaml", tones, {"cells": BLOCKS}), folder / "study")
    return read_figures(folder / "study")


@pytest.mark.slow
def test_processes_give_equal_figures(tones: Path, tmp_path: Path, figures: dict[str, Any]) -> None:
    plan = write_plan(tmp_path / "plan.yaml", tones, {"cells": BLOCKS})
    main(["transfer", str(plan), "--to", str(tmp_path / "study"), "--workers=1"])
    assert read_figures(tmp_path / "study") == figures


@pytest.mark.slow
def test_forks_give_equal_figures_and_status_1_for_a_failed_one(
    tones: Path, tmp_path: Path, figures: dict[str, Any]
) -> None:
    blocks = [*BLOCKS, {"backbones": ["V2"], "protocols": ["scratch"]}]
    changes = {"cells": blocks, "backbones.V2.options": "+--model.optimizer.lr=1e30"}  # the loss becomes NaN
    plan = write_plan(tmp_path / "plan.yaml", tones, changes)
    with pytest.raises(SystemExit) as failed:
        main(["transfer", str(plan), "--to", str(tmp_path / "study"), "--jobs=2"])
    assert "1 problem" in str(failed.value.code)
    assert "tones, V2, scratch, seed 0" in str(failed.value.code)
    assert read_figures(tmp_path / "study") == figures


def test_a_gpu_has_one_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, Any]] = []

    class FakeProcess:
        returncode: int | None = None

        def __init__(self, words: list[str], env: dict[str, str], **options: Any) -> None:
            started.append(env)

        def poll(self) -> int | None:
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", FakeProcess)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    launcher = make_local(Study(tmp_path), CellProcess(tmp_path, tmp_path, 3, None), slots=2, gpus=2)
    assert isinstance(launcher, ProcessLauncher)
    for digest in ("0a", "0b"):
        (tmp_path / "work" / digest).mkdir(parents=True)
        launcher.start(digest)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == ["4", "6"]
    assert {env["OMP_NUM_THREADS"] for env in started} == {"3"}
    FakeProcess.returncode = 0
    assert [end.digest for end in launcher.wait(0)] == ["0a", "0b"]


@pytest.mark.skipif(not can_fork(), reason="cells are forks on Linux only")
def test_cells_of_a_killed_server_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = [sys.executable, "-c", "import sys, os; sys.stdin.readline(); os.kill(os.getpid(), 9)"]
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: popen(server, **options))
    launcher = ForkLauncher(Study(tmp_path), CellProcess(tmp_path, tmp_path, 1, 0), slots=2)
    launcher.start("0a")
    (end,) = launcher.wait(60)
    launcher.close()
    assert (end.digest, end.status) == ("0a", -9)
    assert end.reason.startswith("The process that starts cells was killed by signal 9; start the study again")


def test_cells_on_a_cpu_are_forks_where_that_is_possible(tmp_path: Path) -> None:
    launcher = make_local(Study(tmp_path), CellProcess(tmp_path, tmp_path, 1, 0), slots=2, gpus=0)
    assert isinstance(launcher, ForkLauncher) == can_fork()
