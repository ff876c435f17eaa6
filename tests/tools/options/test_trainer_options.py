"""Options of Lightning's Trainer and its callbacks work, or are refused in one sentence before training."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import distributed

from litmobile.tasks.run import checkpoint_path
from litmobile.tools.cli import main
from support.cli import run_fit
from support.training import load_last_checkpoint

OneSentence = Callable[..., None]


def trainer_options(words: str) -> list[str]:
    """Return ``words`` as options of the Trainer, unless they start with dashes; "+X" adds the callback X."""
    marked = [f"callbacks{word[0]}={word[1:]}" if word.startswith("+") else word for word in words.split()]
    return [word if word.startswith("--") else f"--trainer.{word}" for word in marked]


def count_validations(run: Path) -> int:
    history = run / "metrics.json"
    return len(json.loads(history.read_text())) if history.exists() else 0


@pytest.fixture(autouse=True)
def restore_global_settings() -> Iterator[None]:
    """Undo what options of the Trainer set for the whole process, such as the port of a process group."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    if distributed.is_initialized():
        distributed.destroy_process_group()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = False


@pytest.mark.parametrize(
    ("words", "steps", "validations"),
    [
        ("overfit_batches=1", 2, 2),
        ("overfit_batches=1.0", 4, 2),
        ("overfit_batches=1 --data.train_sizes=[32,64]", 2, 2),
        ("max_steps=1", 1, 1),
        ("max_steps=3 max_epochs=-1", 3, 2),
        ("limit_train_batches=1 limit_val_batches=1", 2, 2),
        ("limit_val_batches=0", 4, 0),
        ("fast_dev_run=true", 1, 1),
        ("check_val_every_n_epoch=5", 4, 1),
        ("val_check_interval=1", 4, 4),
        ("val_check_interval=3 check_val_every_n_epoch=null", 4, 2),
        ("val_check_interval=00:01:00:00", 4, 1),
        ("accumulate_grad_batches=2", 2, 2),
        ("log_every_n_steps=0", 4, 2),
        ("reload_dataloaders_every_n_epochs=1", 4, 2),
    ],
)
def test_final_weights_are_validated(words: str, steps: int, validations: int, shapes: Path, tmp_path: Path) -> None:
    """A run of two epochs of two steps, unless an option changes it."""
    run_fit(shapes, f"--run={tmp_path / 'run'}", *trainer_options(words))
    assert load_last_checkpoint(tmp_path / "run")["global_step"] == steps
    assert count_validations(tmp_path / "run") == validations
    assert checkpoint_path(tmp_path / "run", "best").is_file() == (validations > 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "benchmark=true",
        "deterministic=true",
        "deterministic=warn",
        "detect_anomaly=true",
        "devices=auto",
        "enable_autolog_hparams=false",
        "enable_checkpointing=true",
        "enable_model_summary=true",
        "enable_progress_bar=true",
        "gradient_clip_val=1 --model.optimizer.fused=false",
        "gradient_clip_val=1 gradient_clip_algorithm=value",
        "inference_mode=false",
        "logger=false",
        "logger=true",
        "logger=CSVLogger logger.save_dir=DIR",
        "logger=TensorBoardLogger logger.save_dir=DIR",
        "max_time=00:01:00:00",
        "min_epochs=3",
        "num_sanity_val_steps=-1",
        "plugins=lightning.pytorch.plugins.environments.LightningEnvironment",
        "precision=64-true",
        "profiler=advanced",
        "profiler=pytorch",
        "profiler=SimpleProfiler",
        "strategy=ddp",
        "enable_progress_bar=true +TQDMProgressBar",
        "enable_progress_bar=true +litmobile.tasks.callbacks.ProgressBar",
        "+EarlyStopping callbacks.monitor=val/AP callbacks.mode=max",
        "+LearningRateMonitor",
        "+ModelCheckpoint callbacks.monitor=val/AP",
        "+ModelSummary",
        "+OnExceptionCheckpoint callbacks.dirpath=DIR",
    ],
)
def test_option_does_not_change_the_length_of_a_run(words: str, shapes: Path, tmp_path: Path) -> None:
    run_fit(shapes, f"--run={tmp_path / 'run'}", *trainer_options(words.replace("DIR", str(tmp_path / "other"))))
    assert load_last_checkpoint(tmp_path / "run")["global_step"] == 4
    assert count_validations(tmp_path / "run") == 2


def test_max_time_ends_a_run_without_epochs(shapes: Path, tmp_path: Path) -> None:
    run_fit(shapes, f"--run={tmp_path / 'run'}", *trainer_options("max_epochs=-1 max_time=00:00:00:01"))
    assert load_last_checkpoint(tmp_path / "run")["global_step"] > 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())[-1]["step"] > 0
    assert checkpoint_path(tmp_path / "run", "best").is_file()


def test_overfitting_repeats_the_same_images(shapes: Path, tmp_path: Path) -> None:
    words = ["overfit_batches=1 max_epochs=3", f"+support.training.Recorder callbacks.folder={tmp_path}"]
    run_fit(shapes, f"--run={tmp_path / 'run'}", *trainer_options(" ".join(words)))
    first, *others = [images for _, _, images in json.loads((tmp_path / "0.json").read_text())]
    assert others == [first, first]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("accelerator=gpu", "--trainer.accelerator"),
        ("accelerator=gpus", "auto, cpu and gpu"),
        ("accelerator=tpu", "--trainer.accelerator"),
        ("accumulate_grad_batches=0", "--trainer.accumulate_grad_batches=0"),
        ("barebones=true", "--trainer.barebones"),
        ("check_val_every_n_epoch=0", "--trainer.check_val_every_n_epoch=0"),
        ("devices=0", "--trainer.devices"),
        ("enable_progress_bar=false +TQDMProgressBar", "--trainer.enable_progress_bar"),
        ("gradient_clip_val=-1", "--trainer.gradient_clip_val=-1"),
        ("gradient_clip_algorithm=bad", "--trainer.gradient_clip_algorithm"),
        ("limit_train_batches=0", "--trainer.limit_train_batches=0"),
        ("limit_val_batches=0.1", "--trainer.limit_val_batches"),
        ("max_epochs=-5", "--trainer.max_epochs"),
        ("max_time=soon", "--trainer.max_time"),
        ("precision=transformer-engine", "--trainer.precision"),
        ("profiler=xla", "--trainer.profiler"),
        ("strategy=ddp_fork", "--trainer.strategy=ddp_fork"),
        ("strategy=ddp_notebook_find_unused_parameters_true", "--trainer.strategy"),
        ("strategy=ddp_spawn devices=2", "--trainer.strategy=ddp_spawn"),
        ("strategy=lightning.pytorch.strategies.DDPStrategy strategy.start_method=fork", "DDPStrategy"),
        ("strategy=lightning.pytorch.strategies.SingleDeviceStrategy strategy.device=x", "SingleDeviceStrategy"),
        ("strategy=ddpp", "auto, ddp and"),
        ("strategy=deepspeed", "--trainer.strategy"),
        ("strategy=fsdp", "--trainer.strategy"),
        ("use_distributed_sampler=true", "--trainer.use_distributed_sampler"),
        ("val_check_interval=0", "--trainer.limit_val_batches=0"),
        ("val_check_interval=5", "--trainer.val_check_interval"),
        ("logger=WandbLogger", "WandbLogger"),
        ("+BackboneFinetuning", "BackboneFinetuning"),
        ("+BatchSizeFinder", "BatchSizeFinder"),
        ("+EarlyStopping callbacks.monitor=val/nothing", "val/AP50"),
        ("limit_val_batches=0 +EarlyStopping callbacks.monitor=val/AP", "train/loss"),
        ("+EarlyStopping callbacks.monitor=val/AP callbacks.mode=x", "EarlyStopping cannot be used"),
        ("+CpuThreads callbacks.count=0", "count must be at least 1"),
        ("+EMAWeightAveraging", "EMAWeightAveraging"),
        ("+LearningRateFinder", "LearningRateFinder"),
        ("+litmobile.tasks.callbacks.ExactResume", "ExactResume"),
        ("+litmobile.tasks.callbacks.EvaluationWriter callbacks.folder=x", "EvaluationWriter"),
        ("+ModelCheckpoint callbacks.monitor=val/nothing", "val/AP50"),
        ("+ModelPruning callbacks.pruning_fn=l1_unstructured callbacks.amount=0.1", "ModelPruning"),
        ("+StochasticWeightAveraging callbacks.swa_lrs=0.01", "StochasticWeightAveraging"),
        ("+Timer callbacks.duration=00:00:01:00", "Timer"),
    ],
)
def test_option_is_refused_before_training(
    words: str, named: str, shapes: Path, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(SystemExit) as refused:
        run_fit(shapes, f"--run={tmp_path / 'run'}", *trainer_options(words))
    assert_one_sentence(refused.value, named)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("callback", ["EarlyStopping", "ModelCheckpoint"])
def test_an_undefined_figure_cannot_be_monitored(
    callback: str, shapes: Path, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    """The shapes have no small objects."""
    words = trainer_options(f"+{callback} callbacks.monitor=val/AP_small")
    with pytest.raises(SystemExit) as refused:
        run_fit(shapes, f"--run={tmp_path / 'run'}", *words)
    assert_one_sentence(refused.value, f"{callback} monitors val/AP_small", "val/AP50")


def resume(run: Path, *words: str) -> None:
    main(["fit", "--run", str(run), "--trainer.max_epochs=2", *words])


def test_another_optimiser_cannot_resume(shapes: Path, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    run = tmp_path / "run"
    run_fit(shapes, f"--run={run}", "--trainer.max_epochs=1")
    with pytest.raises(SystemExit) as refused:
        resume(run, "--model.optimizer=torch.optim.SGD")
    assert_one_sentence(refused.value, "SGD", "AdamW")
    with pytest.raises(SystemExit) as refused:
        resume(run, "--model.decay_norms=true")
    assert_one_sentence(refused.value, "decay_norms")
    resume(run)


def test_options_that_a_resumed_optimiser_ignores_are_named(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_fit(shapes, f"--run={tmp_path / 'run'}", "--trainer.max_epochs=1")
    caplog.clear()
    resume(tmp_path / "run", "--model.optimizer.lr=0.5")
    assert "The optimiser keeps lr=0.003 of the checkpoint; lr=0.5 has no effect." in caplog.messages
