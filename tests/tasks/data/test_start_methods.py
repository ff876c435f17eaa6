"""Workers start under every method with equal results, import little, and end with the training process."""

from __future__ import annotations

import csv
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.errors import DataError, TaskError, UserError
from litmobile.tasks.classification import FolderClassification
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.data.start_methods import choose_start_method
from litmobile.tasks.detection import CocoDetection
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import FolderSegmentation
from litmobile.tools.cli import main
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images
from support.training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER, load_last_checkpoint
from support.workers import report_imports

OneSentence = Callable[..., None]
AVAILABLE = multiprocessing.get_all_start_methods()
METHODS = [method for method in ("forkserver", "spawn") if method in AVAILABLE]
TASKS = {"detection": SMALL, "classification": SMALL_CLASSIFIER, "segmentation": SMALL_SEGMENTER}
MODULES = {"detection": CocoDetection, "classification": FolderClassification, "segmentation": FolderSegmentation}
needs_fork = pytest.mark.skipif("fork" not in AVAILABLE, reason="this system cannot fork")
needs_forkserver = pytest.mark.skipif("forkserver" not in AVAILABLE, reason="this system has no fork server")


@pytest.fixture(scope="module")
def roots(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny data set for each task."""
    folders, masks = tmp_path_factory.mktemp("classes"), tmp_path_factory.mktemp("masks")
    for split in ("train", "val"):
        write_class_folders(folders / split, 6)
        write_block_images(masks, split, 4)
    return {"detection": shapes, "classification": folders, "segmentation": masks}


@pytest.fixture(scope="module")
def fit(roots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A function that trains (task, start method) once for all tests and returns the run's folder."""
    runs = tmp_path_factory.mktemp("runs")

    def run(task: str, method: str) -> Path:
        folder = runs / f"{task}-{method}"
        if not folder.exists():
            words = [f"--data.root={roots[task]}", f"--data.start_method={method}", "--trainer.max_epochs=1"]
            main(["fit", *TASKS[task], *words, f"--run={folder}"])
        return folder

    return run


def make_data(task: str, root: Path, **options: Any) -> DataModule[Any]:
    names = {"train": "train", "val": "val"} if task == "detection" else {}
    data = MODULES[task](str(root), **names, batch_size=2, num_workers=1, seed=0, **options)
    data.preprocessing = Preprocessing((32, 32))
    data.setup("fit")
    return data


def read_losses(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@needs_fork
@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_losses_and_weights_equal_those_of_fork(task: str, method: str, fit: Callable[[str, str], Path]) -> None:
    ours, theirs = fit(task, method), fit(task, "fork")
    assert len(read_losses(ours)) > 1
    assert read_losses(ours) == read_losses(theirs)
    weights, expected = load_last_checkpoint(ours)["state_dict"], load_last_checkpoint(theirs)["state_dict"]
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    "method", [pytest.param("forkserver", marks=needs_forkserver), pytest.param("spawn", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("task", TASKS)
def test_workers_import_neither_lightning_nor_timm(task: str, method: str, roots: dict[str, Path]) -> None:
    data = make_data(task, roots[task], start_method=method)
    data.augmentation = report_imports
    with pytest.raises(DataError) as raised:
        next(iter(data.train_dataloader()))
    process, *modules = str(raised.value).split()
    assert int(process) != os.getpid()
    assert {f"litmobile.tasks.{task}.batch", "torch", "cv2"} <= set(modules)
    assert not {"lightning", "lightning_fabric", "pytorch_lightning", "torchmetrics", "timm"} & set(modules)


def test_python_s_own_method_is_used_without_the_command_line(shapes: Path) -> None:
    assert make_data("detection", shapes).train_dataloader().multiprocessing_context is None


@pytest.mark.parametrize("chosen", [None, *AVAILABLE])
def test_command_line_never_forks_by_itself(chosen: str | None) -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(chosen, force=True)
    try:
        assert choose_start_method() == (METHODS[0] if chosen in (None, AVAILABLE[0]) else chosen)
    finally:
        multiprocessing.set_start_method(before, force=True)


@needs_fork
@needs_forkserver
def test_forked_process_does_not_use_its_parents_fork_server() -> None:
    code = (  # in a process without threads, because a fork of this one could hang
        "import os\n"
        "from litmobile.tasks.data.start_methods import choose_start_method, start_fork_server\n"
        "start_fork_server()\n"
        "if child := os.fork():\n"
        "    os.waitpid(child, 0)\n"
        "else:\n"
        "    print(choose_start_method())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "spawn\n"


def test_unknown_start_method_is_refused(shapes: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(UserError) as refused:
        make_data("detection", shapes, start_method="thread")
    assert_one_sentence(refused.value, "start_method", "spawn", "thread")


@pytest.mark.parametrize("method", METHODS)
def test_data_that_cannot_be_pickled_is_refused(method: str, shapes: Path, assert_one_sentence: OneSentence) -> None:
    data = make_data("detection", shapes, start_method=method)
    data.augmentation = lambda sample, preprocessing, random: sample
    with pytest.raises(TaskError) as refused:
        next(iter(data.train_dataloader()))
    assert_one_sentence(refused.value, "worker processes", "data.num_workers=0")


def running_processes(session: int) -> list[int]:
    """Return the processes of ``session`` that have not ended."""
    listing = subprocess.run(["ps", "-eo", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, own, state in rows if int(own) == session and not state.startswith("Z")]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_killed_training_leaves_no_process(method: str, shapes: Path, tmp_path: Path) -> None:
    words = ["fit", *SMALL, f"--data.root={shapes}", f"--run={tmp_path / 'run'}", f"--data.start_method={method}"]
    training = subprocess.Popen(
        [sys.executable, "-m", "litmobile", *words, "--data.num_workers=2", "--trainer.max_epochs=1000"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    for _ in range(1200):
        if (tmp_path / "run" / "val.json").exists():
            break  # the workers of both loaders have started
        time.sleep(0.05)
    assert len(running_processes(training.pid)) >= 5
    training.kill()
    training.wait()
    for _ in range(600):
        if not running_processes(training.pid):
            break
        time.sleep(0.05)
    left = running_processes(training.pid)
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left


@needs_forkserver
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not list blocked signals")
def test_fork_server_outlives_a_sigterm_to_the_whole_job() -> None:
    code = (
        "import signal\n"
        "from multiprocessing import forkserver\n"
        "from litmobile.tasks.data.start_methods import start_fork_server\n"
        "start_fork_server()\n"
        "print(open(f'/proc/{forkserver._forkserver._forkserver_pid}/status').read())\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *status, own = done.stdout.splitlines()
    blocked = next(line for line in status if line.startswith("SigBlk"))
    assert int(blocked.split()[1], 16) & 1 << (signal.SIGTERM - 1)
    assert own == "set()"


@needs_forkserver
def test_fork_server_imports_nothing_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "start.py"
    script.write_text(
        "import multiprocessing\n"
        "from litmobile.tasks.data.start_methods import start_fork_server\n"
        "if __name__ == '__main__':\n"
        "    start_fork_server()\n"
        "    process = multiprocessing.get_context('forkserver').Process(target=print, args=('started',))\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "started\n", done.stderr
    assert not (tmp_path / "executed").exists()
