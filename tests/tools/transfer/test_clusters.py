"""Studies on clusters, which run on this machine here: the same cells give the same figures."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import UserError
from litmobile.tools.cli import main
from litmobile.tools.transfer import command
from litmobile.tools.transfer.launchers.launcher import CellProcess
from litmobile.tools.transfer.launchers.slurm import SlurmLauncher, has_gpus
from litmobile.tools.transfer.store import Study
from support.kills.studies import list_children
from support.studies import read_figures, run_study, write_plan

Fake = Callable[..., Any]
BLOCKS = [{"backbones": ["V1"], "protocols": ["scratch"]}]


@pytest.fixture(scope="module")
def plan(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of one cell."""
    return write_plan(tmp_path_factory.mktemp("plan") / "plan.yaml", tones, {"cells": BLOCKS})


@pytest.fixture(scope="module")
def figures(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The figures of that cell when it runs in this process."""
    folder = tmp_path_factory.mktemp("expected")
    run_study(plan, folder / "study")
    return read_figures(folder / "study")


@pytest.fixture
def local_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let submitit run jobs on this machine."""
    pytest.importorskip("submitit", reason="needs the extra slurm")
    monkeypatch.setattr(command, "SlurmLauncher", partial(SlurmLauncher, cluster="local"))


def interrupt_job(study: Path) -> None:
    """Wait until the cell trains, then send its job the signal that SLURM sends before it ends a job."""
    while not list(study.glob("work/*/run/metrics.csv")):
        time.sleep(0.05)
    (folder,) = study.glob("work/slurm-*/[0-9]*")
    (job,) = list_children(int(folder.name))
    os.kill(job, signal.SIGUSR2)


@pytest.mark.slow
@pytest.mark.usefixtures("local_jobs")
def test_a_job_of_slurm_resumes_and_gives_equal_figures(plan: Path, figures: dict[str, Any], tmp_path: Path) -> None:
    study, kept = tmp_path / "study", tmp_path / "log.txt"
    child = os.fork()
    if not child:
        interrupt_job(study)
        shutil.copy(next(study.glob("work/slurm-*/*/*_log.err")), kept)
        os._exit(0)
    main(["transfer", str(plan), "--to", str(study), "--launcher=slurm", "--slurm.timeout_min=5"])
    os.waitpid(child, 0)
    assert read_figures(study) == figures
    assert not list((study / "work").glob("*/"))
