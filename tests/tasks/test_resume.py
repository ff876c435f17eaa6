"""Resuming is bit-exact, checkpoints are complete or absent, and a non-finite loss names its files."""

from __future__ import annotations

import csv
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from litmobile.errors import CheckpointError
from litmobile.tasks.pretrained import AtomicCheckpointIO
from litmobile.tasks.run import checkpoint_path
from litmobile.tools.cli import main
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images
from support.training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER, load_last_checkpoint

OneSentence = Callable[..., None]

# sends the process a signal after a given optimiser step, without changes to the code under test
INTERRUPTED_FIT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from litmobile.tasks.task import Task
from litmobile.tools.cli import main

number, step = getattr(signal, sys.argv[1]), int(sys.argv[2])
optimizer_step_of_task = Task.optimizer_step

def interrupted(self, *arguments, **options):
    optimizer_step_of_task(self, *arguments, **options)
    if self.global_step + 1 == step:  # Lightning increments it later
        os.kill(os.getpid(), number)

Task.optimizer_step = interrupted
main(sys.argv[3:])
"""


def fit(shapes: Path, run: Path, *words: str) -> None:
    main(["fit", *SMALL, f"--data.root={shapes}", "--run", str(run), *words])


class Training(NamedTuple):
    """Options of ``litmobile fit``, and an uninterrupted run of three epochs of five steps with them."""

    words: list[str]
    uninterrupted: Path


def interrupt(words: list[str], run: Path, name: str, step: int) -> int:
    """Train in a process that receives signal ``name`` after optimiser step ``step``; return its exit status."""
    command = [sys.executable, "-c", INTERRUPTED_FIT, name, str(step), "fit", *words, "--run", str(run)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def read_metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def uninterrupted(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of three epochs of five steps."""
    run = tmp_path_factory.mktemp("uninterrupted") / "run"
    fit(shapes, run)
    return run


@pytest.fixture(scope="module")
def detector(uninterrupted: Path, shapes: Path) -> Training:
    return Training([*SMALL, f"--data.root={shapes}"], uninterrupted)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Steps of 11, 5, 2, 2 and 2 images of a share, in an order that is random in each epoch."""
    folder = tmp_path_factory.mktemp("sizes")
    write_class_folders(folder / "data" / "train", 44)
    write_class_folders(folder / "data" / "val", 4)
    words = [*SMALL_CLASSIFIER, f"--data.root={folder / 'data'}", "--data.train_share=0.5"]
    main(["fit", *words, "--run", str(folder / "run")])
    return Training(words, folder / "run")


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Steps of 6, 6, 2, 2 and 2 images, in an order that is random in each epoch."""
    folder = tmp_path_factory.mktemp("masks")
    write_block_images(write_block_images(folder / "data", "train", 18), "val", 3)
    words = [*SMALL_SEGMENTER, f"--data.root={folder / 'data'}", "--data.train_sizes=[32,[48,64]]"]
    main(["fit", *words, "--run", str(folder / "run")])
    return Training(words, folder / "run")


def assert_same_end(run: Path, other: Path) -> None:
    """Assert that both runs have bit-identical weights, EMA, optimiser and history."""
    ours, theirs = load_last_checkpoint(run), load_last_checkpoint(other)
    assert ours["global_step"] == theirs["global_step"] == 15
    for name in ("state_dict", "trained", "optimizer_states", "lr_schedulers"):
        flat, expected = flatten(ours[name]), flatten(theirs[name])
        assert flat.keys() == expected.keys()
        for key, value in flat.items():
            same = torch.equal(value, expected[key]) if isinstance(value, torch.Tensor) else value == expected[key]
            assert same, f"{name}.{key}"
    assert read_metrics(run) == read_metrics(other)
    history, expected = (json.loads((r / "metrics.json").read_text()) for r in (run, other))
    assert history == expected


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, entry in items for k, v in flatten(entry, f"{prefix}.{key}").items()}
    return {prefix: value}


@pytest.mark.parametrize(
    ("kind", "name", "step", "kept"),
    [
        ("detector", "SIGTERM", 2, 2),  # within the first epoch
        pytest.param("detector", "SIGINT", 8, 8, marks=pytest.mark.slow),  # within the second
        pytest.param("detector", "SIGTERM", 10, 10, marks=pytest.mark.slow),  # at its end: after its validation
        ("detector", "SIGKILL", 7, 5),  # no checkpoint on exit: continues from the first epoch's end
        pytest.param("detector", "SIGKILL", 3, None, marks=pytest.mark.slow),  # no checkpoint at all: starts again
        ("classifier", "SIGTERM", 8, 8),
        pytest.param("classifier", "SIGKILL", 7, 5, marks=pytest.mark.slow),
        pytest.param("segmenter", "SIGTERM", 8, 8, marks=pytest.mark.slow),
    ],
)
def test_resume_is_bit_exact(
    kind: str, name: str, step: int, kept: int | None, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    training: Training = request.getfixturevalue(kind)
    run = tmp_path / "run"
    number = getattr(signal, name)
    assert interrupt(training.words, run, name, step) == (-number if name == "SIGKILL" else 128 + number)
    if kept is None:
        assert not checkpoint_path(run, "last").exists()
    else:
        assert load_last_checkpoint(run)["global_step"] == kept
    main(["fit", "--run", str(run)])
    assert_same_end(run, training.uninterrupted)


def test_ema_is_evaluated_saved_and_loaded(uninterrupted: Path, shapes: Path) -> None:
    import litmobile

    stored = load_last_checkpoint(uninterrupted)
    trained, average = stored["trained"]["state_dict"], stored["state_dict"]
    assert stored["trained"]["updates"] == 15
    differing = [k for k in average if not torch.equal(average[k], trained[k])]
    assert len(differing) > 0.9 * len([k for k in average if average[k].is_floating_point()])
    network = litmobile.load(checkpoint_path(uninterrupted, "last")).state_dict()
    assert all(torch.equal(network[name], average[f"network.{name}"]) for name in network)
    before = json.loads((uninterrupted / "metrics.json").read_text())[-1]["val/AP"]
    main(["validate", "--run", str(uninterrupted), "--ckpt_path", str(checkpoint_path(uninterrupted, "last"))])
    assert json.loads((uninterrupted / "val.json").read_text())["figures"]["AP"] == pytest.approx(before, abs=1e-6)


EMPTY = {"network": {}, "state_dict": {}, "epoch": 0}


def test_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, assert_one_sentence: OneSentence, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to write to")
    path = tmp_path / "last.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint({**EMPTY, "global_step": 1}, path)
    monkeypatch.setattr(secrets, "token_hex", lambda _: "full")
    path.with_name(".last.ckpt.full.part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError) as caught:
        io.save_checkpoint({**EMPTY, "global_step": 2}, path)
    assert_one_sentence(caught.value, path, "No space left", "the previous one is intact")
    assert io.load_checkpoint(path)["global_step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
    io.save_checkpoint({**EMPTY, "global_step": 3}, path)
    assert io.load_checkpoint(path)["global_step"] == 3


def test_two_trainings_cannot_write_to_one_folder(uninterrupted: Path, shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = [sys.executable, "-m", "litmobile", "fit", *SMALL, f"--data.root={shapes}", f"--run={run}"]
    first = subprocess.Popen(
        [*words, "--trainer.max_epochs=1000"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            if (run / "config.yaml").exists():
                break
            time.sleep(0.1)
        with pytest.raises(SystemExit) as caught:
            main(["fit", "--run", str(run)])
        assert f"Another training writes to {run}" in str(caught.value)
    finally:
        first.kill()
        first.wait()
    main(["fit", "--run", str(run), "--trainer.max_steps=1"])  # the lock ends with the process


def test_non_finite_loss_names_the_files_and_saves_nothing(
    shapes: Path, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as caught:
        fit(shapes, run, "--model.optimizer.lr=1e18", "--model.optimizer=SGD", "--trainer.limit_val_batches=0")
    names = sorted(path.name for path in (shapes / "train").glob("*.jpg"))
    assert "The loss of step" in str(caught.value)
    assert sum(name in str(caught.value) for name in names) == 2  # the images of one batch
    assert not checkpoint_path(run, "last").exists()


def test_resume_restores_the_random_state_of_dropout(shapes: Path, tmp_path: Path) -> None:
    from lightning.pytorch import Trainer

    from litmobile.backbones import MobileNetV2
    from litmobile.tasks.detection import CocoDetection, DetectionTask
    from litmobile.tasks.preprocessing import Preprocessing

    drawn: list[float] = []

    class DrawingTask(DetectionTask):
        """Draws a number from dropout's generator in every step."""

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            drawn.append(torch.rand(()).item())
            return super().training_step(batch, batch_idx)

    def train(steps: int, resume: Path | None) -> Trainer:
        task = DrawingTask(MobileNetV2(0.35), preprocessing=Preprocessing((64, 64)))
        data = CocoDetection(str(shapes), train="train", val="val", batch_size=2, num_workers=0, seed=1)
        trainer = Trainer(
            max_steps=steps,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
        )
        trainer.fit(task, data, ckpt_path=resume)
        return trainer

    torch.manual_seed(5)
    train(8, None)
    torch.manual_seed(5)
    train(3, None).save_checkpoint(tmp_path / "three.ckpt")
    torch.manual_seed(77)
    train(8, tmp_path / "three.ckpt")
    assert drawn[:8] == drawn[8:]


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2])
def test_signal_to_the_whole_job_saves_a_checkpoint(num_workers: int, shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["fit", *SMALL, f"--data.root={shapes}", f"--run={run}", f"--data.num_workers={num_workers}"]
    job = subprocess.Popen(
        [sys.executable, "-m", "litmobile", *words, "--trainer.max_epochs=1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for _ in range(1200):
        if (run / "metrics.csv").exists() and len((run / "metrics.csv").read_text().splitlines()) > 1:
            break
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGTERM)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 128 + signal.SIGTERM, output
    assert load_last_checkpoint(run)["global_step"] > 0


def test_run_folder_is_usable_after_a_failed_start(shapes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "tensorboard").mkdir(parents=True)
    for name in (".lock", "metrics.csv", "tensorboard/events"):  # as a killed run leaves them
        (run / name).touch()
    with pytest.raises(SystemExit):
        fit(shapes, run, "--data.train=nowhere")
    assert run.is_dir()
    fit(shapes, run, "--trainer.max_epochs=1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("nothing may be written next to it")
    with pytest.raises(SystemExit) as caught:
        fit(shapes, tmp_path / "mine")
    assert "is not the folder of a run" in str(caught.value)


@pytest.mark.parametrize(("epochs", "every", "evaluated"), [(2, 6, [1]), (3, 2, [1, 2]), (4, 2, [1, 3]), (1, 1, [0])])
def test_the_last_epoch_is_always_validated(
    epochs: int, every: int, evaluated: list[int], shapes: Path, tmp_path: Path
) -> None:
    words = [f"--trainer.max_epochs={epochs}", f"--trainer.check_val_every_n_epoch={every}"]
    fit(shapes, tmp_path / "run", *words)
    assert [entry["epoch"] for entry in json.loads((tmp_path / "run" / "metrics.json").read_text())] == evaluated
    assert checkpoint_path(tmp_path / "run", "best").is_file()


def test_the_last_epoch_is_validated_after_resuming_within_it(detector: Training, tmp_path: Path) -> None:
    words = [*detector.words, "--trainer.check_val_every_n_epoch=2"]
    assert interrupt(words, tmp_path / "run", "SIGTERM", 13) == 128 + signal.SIGTERM
    main(["fit", "--run", str(tmp_path / "run")])
    assert [entry["epoch"] for entry in json.loads((tmp_path / "run" / "metrics.json").read_text())] == [1, 2]


def test_clipping_with_a_fused_optimizer_is_refused(shapes: Path, tmp_path: Path) -> None:
    fused = ["--model.optimizer=AdamW", "--model.optimizer.fused=true", "--trainer.precision=bf16-mixed"]
    with pytest.raises(SystemExit) as caught:
        fit(shapes, tmp_path / "run", *fused, "--trainer.gradient_clip_val=5")
    assert "add --model.optimizer.fused=false" in str(caught.value)
    fit(shapes, tmp_path / "run", *fused, "--trainer.gradient_clip_val=5", "--model.optimizer.fused=false")


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1], {"a": torch.zeros(1)}], ids=str)
def test_foreign_checkpoint_is_refused(content: Any, uninterrupted: Path, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "foreign.pth")
    with pytest.raises(SystemExit) as caught:
        main(["validate", "--run", str(uninterrupted), "--ckpt_path", str(tmp_path / "foreign.pth")])
    assert "foreign.pth is not a checkpoint of a litmobile run" in str(caught.value)
