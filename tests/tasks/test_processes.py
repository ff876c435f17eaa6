"""Several processes train and evaluate like one: every sample once, the same figures, and a common stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from litmobile.backbones import MobileNetV2
from litmobile.errors import DataError
from litmobile.tasks.detection import CocoDetection, DetectionTask
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.schedule import scale_learning_rate
from litmobile.tools.cli import main
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images
from support.training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER, load_last_checkpoint, read_steps

TESTS = Path(__file__).resolve().parents[1]
DDP = ["--trainer.strategy=ddp", "--trainer.accelerator=cpu"]


def start(*words: str) -> subprocess.Popen[str]:
    """Start the command line in a process, which starts the other processes."""
    command = [sys.executable, "-m", "litmobile", *words]
    return subprocess.Popen(
        command,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def validate(run: Path, processes: int) -> dict[str, Any]:
    """Evaluate the last weights of a run in some processes, or in this one, and return ``val.json``."""
    words = ["validate", "--run", str(run), "--ckpt_path", str(run / "checkpoints" / "last.ckpt")]
    if processes == 1:
        main([*words, "--trainer.strategy=auto", "--trainer.devices=1"])
    else:
        finish(start(*words, *DDP, f"--trainer.devices={processes}"))
    return json.loads((run / "val.json").read_text())


def finish(process: subprocess.Popen[str], status: int = 0) -> str:
    """Return the output of the process; fail unless it exits with ``status``."""
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        with contextlib.suppress(ProcessLookupError):  # they have already ended, as they should
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == status, output
    return output


@pytest.fixture(scope="module")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes at two sizes: with ten images, an epoch has a step of four and one of six images."""
    folder = tmp_path_factory.mktemp("two") / "run"
    output = finish(
        start("fit", *SMALL, f"--data.root={shapes}", f"--run={folder}", *DDP, "--trainer.devices=2",
              "--model.base_batch_size=8", "--model.optimizer=SGD", "--model.optimizer.lr=0.02",
              "--data.batch_size=2", "--data.train_sizes=[32,64]")
    )  # fmt: skip
    assert "Learning rate 0.01: 0.02 is for batch size 8; the effective one is 4" in output
    assert "(2 images × 2 processes × 1 accumulated batches)" in output
    assert "find_unused_parameters" not in output
    return folder


@pytest.mark.slow
def test_detection_figures_do_not_depend_on_processes(run: Path) -> None:
    trained = json.loads((run / "metrics.json").read_text())[-1]  # by two processes
    one, three = (validate(run, processes) for processes in (1, 3))  # five images: two, two and one
    assert one["figures"]["AR_100"] > 0
    assert three["AP_per_class"] == pytest.approx(one["AP_per_class"], abs=1e-6)
    assert three["figures"] == pytest.approx(one["figures"], abs=1e-6)
    for name, value in one["figures"].items():
        if value is not None:
            assert trained[f"val/{name}"] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
def test_segmentation_figures_do_not_depend_on_processes(tmp_path: Path) -> None:
    data, run = write_block_images(tmp_path / "data", "train", 6), tmp_path / "run"
    write_block_images(data, "val", 4)
    write_block_images(data, "test", 1)
    words = [*SMALL_SEGMENTER, f"--data.root={data}", f"--run={run}", "--trainer.max_epochs=1"]
    finish(start("fit", *words, *DDP, "--trainer.devices=2"))
    trained = json.loads((run / "metrics.json").read_text())[-1]  # by two processes
    reports = []
    for processes in (1, 3):  # four images: three processes have two, one and one
        reports.append(validate(run, processes))
        examples = json.loads((run / "val-examples.json").read_text())  # of all processes
        assert [example["kind"] for example in examples] == ["worst", "worst", "best", "best"]
        assert {example["name"] for example in examples} == {f"{k}.png" for k in range(4)}
    one, three = reports
    assert one["pixels"] == three["pixels"] == sum(56 * (47 - k % 3) for k in range(4))
    # other batches add up in another order, which may change the class of a pixel
    assert three["figures"] == pytest.approx(one["figures"], abs=1e-3)
    for name, value in one["figures"].items():
        assert trained[f"val/{name}"] == pytest.approx(value, abs=1e-3), name


@pytest.mark.slow
def test_two_processes_stop_together_and_resume_bit_exactly(run: Path, shapes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    config = ["--config", str(run / "config.yaml"), f"--run={folder}"]
    process = start("fit", *config, "--trainer.max_epochs=3")
    for _ in range(1200):
        if (folder / "metrics.csv").exists() and len((folder / "metrics.csv").read_text().splitlines()) > 1:
            break  # the first epoch has ended
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output = finish(process, 128 + signal.SIGTERM)
    assert f"Resume it with litmobile fit --run {folder}" in output
    assert 0 < load_last_checkpoint(folder)["global_step"] < 6
    finish(start("fit", "--run", str(folder)))
    ours, theirs = load_last_checkpoint(folder), load_last_checkpoint(run)
    assert ours["global_step"] == theirs["global_step"] == 6
    assert all(torch.equal(value, theirs["state_dict"][name]) for name, value in ours["state_dict"].items())


@pytest.mark.slow
def test_synchronised_norms_on_cpu_are_refused(shapes: Path, tmp_path: Path) -> None:
    process = start("fit", *SMALL, f"--data.root={shapes}", f"--run={tmp_path / 'run'}", *DDP, "--trainer.devices=2",
                    "--trainer.sync_batchnorm=true")  # fmt: skip
    assert "PyTorch synchronises batch norms on GPUs only" in finish(process, 1)


@pytest.mark.slow
def test_two_processes_share_sizes_images_and_unfreezing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_class_folders(tmp_path / "data" / "val", 4)
    write_class_folders(tmp_path / "data" / "train", 45)  # steps of 22, 10, 4, 4 and 5 images
    monkeypatch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
    finish(
        start("fit", *SMALL_CLASSIFIER, f"--data.root={tmp_path / 'data'}", f"--run={tmp_path / 'run'}", *DDP,
              "--trainer.devices=2", "--trainer.max_epochs=2", "--data.num_workers=0",
              "--trainer.callbacks=support.training.Recorder", f"--trainer.callbacks.folder={tmp_path}")
    )  # fmt: skip
    ours, theirs = read_steps(tmp_path, 0), read_steps(tmp_path, 1)
    assert [step[:2] for step in ours] == [step[:2] for step in theirs]
    assert load_last_checkpoint(tmp_path / "run")["global_step"] == len(ours) == 10
    for epoch in range(2):
        steps = [step for step in ours + theirs if step.epoch == epoch]
        assert sorted(image for step in steps for image in step.images) == list(range(45))
        assert {step.side for step in steps} == {32, 48, 64}
    assert {len(mine.images) - len(other.images) for mine, other in zip(ours, theirs, strict=True)} == {0, 1}
    ends = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, parameter in ends[0].items():  # the last stage trains in the second epoch
        assert torch.equal(parameter, ends[1][name]), name


def test_more_processes_than_images_are_refused(shapes: Path) -> None:
    class Fake:
        global_rank, world_size = 0, 11

    data = CocoDetection(str(shapes), train="train", val="val", num_workers=0)
    data.setup("fit")
    data.trainer = Fake()  # type: ignore[assignment]
    data.preprocessing = Preprocessing()
    with pytest.raises(DataError, match="train has only 10 images for 11 processes"):
        data.train_dataloader()


@pytest.mark.parametrize(("processes", "accumulated"), [(1, 1), (2, 1), (8, 4)])
def test_learning_rate_scales_with_the_effective_batch_size(processes: int, accumulated: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.15)
    scale_learning_rate(optimizer, base_batch_size=192, batch=24, processes=processes, accumulated=accumulated)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.15 * 24 * processes * accumulated / 192)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("ema_decay", [None, 0.99])
def test_training_works_in_every_precision(
    precision: str, ema_decay: float | None, shapes: Path, tmp_path: Path
) -> None:
    task = DetectionTask(
        MobileNetV2(0.35), preprocessing=Preprocessing((64, 64)), ema_decay=ema_decay, base_batch_size=4
    )
    trainer = Trainer(
        default_root_dir=tmp_path,
        max_epochs=1,
        precision=precision,  # type: ignore[arg-type] — on a CPU, Lightning uses bf16 instead of 16-mixed
        gradient_clip_val=1.0,
        accumulate_grad_batches=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, CocoDetection(str(shapes), train="train", val="val", batch_size=2, num_workers=0))
    assert trainer.global_step == 3  # five batches
    assert all(p.dtype == torch.float32 and bool(p.isfinite().all()) for p in task.network.parameters())
    assert 0 <= trainer.callback_metrics["val/AP"] <= 1
