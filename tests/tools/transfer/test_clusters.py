"""Studies on clusters, which run on this machine here: the same cells give the same figures."""

from __future__ import annotations

import _thread
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import UserError
from litmobile.tools.cli import main
from litmobile.tools.transfer import command
from litmobile.tools.transfer.launchers.launcher import CellProcess
from litmobile.tools.transfer.launchers.local import can_fork
from litmobile.tools.transfer.launchers.ray import RayCluster
from litmobile.tools.transfer.launchers.ray_task import run_task
from litmobile.tools.transfer.launchers.slurm import SlurmLauncher, has_gpus
from litmobile.tools.transfer.launchers.slurm_job import CellJob
from litmobile.tools.transfer.options import parse_options
from litmobile.tools.transfer.store import Study
from support.kills.studies import list_children
from support.studies import read_figures, run_study, write_plan

REQUEUED = "Requeued job"  # in submitit's log
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


def interrupt_job(study: Path, seen: list[str]) -> None:
    """Send the job of a cell that trains the signal that SLURM sends before it ends a job; add what it prints."""
    while not list(study.glob("work/*/run/metrics.csv")):
        time.sleep(0.05)
    (folder,) = study.glob("work/slurm-*/[0-9]*")
    (job,) = list_children(int(folder.name))
    os.kill(job, signal.SIGUSR2)
    while folder.is_dir() and not seen:
        with suppress(OSError):
            seen += [
                line for path in folder.glob("*_log.*") for line in path.read_text().splitlines() if REQUEUED in line
            ]
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("local_jobs")
@pytest.mark.skipif(not can_fork(), reason="the process of the job is found in /proc, which only Linux has")
def test_a_job_of_slurm_resumes_and_gives_equal_figures(plan: Path, figures: dict[str, Any], tmp_path: Path) -> None:
    study, seen = tmp_path / "study", list[str]()
    thread = threading.Thread(target=interrupt_job, args=(study, seen), daemon=True)
    thread.start()
    main(["transfer", str(plan), "--to", str(study), "--launcher=slurm", "--slurm.timeout_min=5"])
    thread.join(60)
    assert len(seen) == 1
    assert read_figures(study) == figures
    assert not list((study / "work").glob("*/"))


@pytest.fixture
def ray_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray cluster on this machine that sends no statistics."""
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="ray-") as folder:  # of pytest, the path would be too long for sockets
        options = {"num_cpus": 2, "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=options)
        monkeypatch.setenv("RAY_ADDRESS", str(cluster.address))
        yield
        cluster.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_tasks_of_ray_give_equal_figures(
    plan: Path, figures: dict[str, Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    main(["transfer", str(plan), "--to", str(tmp_path / "study"), "--launcher=ray"])
    assert read_figures(tmp_path / "study") == figures
    printed = capfd.readouterr()
    assert "ray" not in (printed.out + printed.err).replace(str(tmp_path), "").lower()


class FakeCell:
    """Starts a process that says in a file what happens to it."""

    threads = 1
    script = """
import signal, sys, time
def stop(*_):
    open(sys.argv[1], "w").write("stopped")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1], "w").write("started")
time.sleep(60)
"""

    def environment(self, inherited: dict[str, str]) -> dict[str, str]:
        return inherited

    def start(self, digest: str, log: Path, environment: Any = None) -> subprocess.Popen[bytes]:
        assert not any(name.startswith("SLURM_") for name in environment or {})
        return subprocess.Popen([sys.executable, "-c", self.script, str(log)])


def call_when_started(log: Path, action: Callable[[], None]) -> threading.Thread:
    """Call ``action`` in another thread once the process of a :class:`FakeCell` runs."""

    def wait() -> None:
        while not log.is_file() or log.read_text() != "started":
            time.sleep(0.02)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_cancelled_task_of_ray_stops_its_cell(tmp_path: Path) -> None:
    call_when_started(tmp_path / "log", _thread.interrupt_main)
    with pytest.raises(KeyboardInterrupt):
        run_task(FakeCell(), "0a", tmp_path / "log")  # pyright: ignore[reportArgumentType] — a stand-in
    assert (tmp_path / "log").read_text() == "stopped"


def test_a_job_that_slurm_stops_has_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_NTASKS", "1")  # would make Lightning set up SLURM
    job = CellJob(FakeCell(), "0a", tmp_path / "log")  # pyright: ignore[reportArgumentType] — a stand-in
    call_when_started(tmp_path / "log", lambda: os.kill(list_children(os.getpid())[-1], signal.SIGTERM))
    with pytest.raises(SystemExit):
        job()
    assert (tmp_path / "log").read_text() == "stopped"


def make_slurm(tmp_path: Path, **settings: Any) -> SlurmLauncher:
    """Return the launcher of a study in ``tmp_path``."""
    pytest.importorskip("submitit", reason="needs the extra slurm")
    return SlurmLauncher(Study(tmp_path), CellProcess(tmp_path, tmp_path, 3, 0), 2, settings)


@pytest.fixture
def sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of SLURM that keep the script of a job, here and in ``work/``, instead of running it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "work").mkdir()
    for name in ("sbatch", "srun", "scancel", "sacct"):
        (programs / name).write_text(f'#!/bin/sh\n[ {name} = sbatch ] && cp "$1" {tmp_path}/script && echo job 7\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path / "script"


def test_settings_and_threads_reach_sbatch(sbatch: Path, tmp_path: Path) -> None:
    launcher = make_slurm(tmp_path, partition="gpu", timeout_min=600, gpus_per_node=1, max_num_timeout=9)
    launcher.start("0a")
    flags = sbatch.read_text()
    for flag in ("partition=gpu", "time=600", "gpus-per-node=1", "cpus-per-task=3", "job-name=litmobile"):
        assert f"#SBATCH --{flag}\n" in flags
    assert f"{tmp_path}/work/slurm-" in flags


@pytest.mark.usefixtures("sbatch")
def test_a_wrong_setting_of_slurm_is_one_sentence(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(UserError, match=r"--slurm\.partiton .* did you mean partition\?"):
        make_slurm(tmp_path, partiton="gpu")
    with pytest.raises(UserError) as refused:
        make_slurm(tmp_path, timeout_min="long").start("0a")
    assert_one_sentence(refused.value, "--slurm", "timeout_min")


def test_slurm_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assert_one_sentence: Callable[..., None]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as refused:
        make_slurm(tmp_path)
    assert_one_sentence(refused.value, "--launcher slurm", "sbatch")


def test_a_cluster_of_ray_that_is_not_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, assert_one_sentence: Callable[..., None]
) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"  # free once the server is closed
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError) as refused:
        RayCluster(1)
    assert_one_sentence(refused.value, address, "ray start --head")


@pytest.mark.parametrize("package", ["submitit", "ray"])
def test_a_missing_package_is_named_with_its_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assert_one_sentence: Callable[..., None]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    cell = CellProcess(tmp_path, tmp_path, 1, 0)
    with pytest.raises(UserError) as refused:
        RayCluster(1) if package == "ray" else SlurmLauncher(Study(tmp_path), cell, 1, {})
    assert_one_sentence(refused.value, f"litmobile[{'ray' if package == 'ray' else 'slurm'}]")


def test_options_of_slurm_need_its_launcher(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    words = [str(tmp_path / "plan.yaml"), "--slurm.partition=gpu", "--slurm.timeout_min=600"]
    options = parse_options([*words, "--launcher=slurm"])
    options.check()
    assert options.slurm == {"partition": "gpu", "timeout_min": 600}
    with pytest.raises(UserError) as refused:
        parse_options(words).check()
    assert_one_sentence(refused.value, "--slurm.partition needs --launcher slurm")


def test_jobs_that_ask_for_gpus_are_recognised() -> None:
    assert has_gpus({"gpus_per_node": 1}) and has_gpus({"gres": "gpu:a100:1"})
    assert not has_gpus({"partition": "gpu"}) and not has_gpus({"gpus_per_node": 0})


def test_a_folder_that_is_not_shared_is_one_sentence(tmp_path: Path, assert_one_sentence: Callable[..., None]) -> None:
    cell = CellProcess(tmp_path, tmp_path / "elsewhere", 1, 0)
    with pytest.raises(UserError) as refused:
        cell.start("0a", tmp_path / "log.txt")
    assert_one_sentence(refused.value, tmp_path / "elsewhere", "that all machines share")
