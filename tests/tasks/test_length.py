"""The length of a training follows the number of images, within limits, and so do its validations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from litmobile.errors import UserError
from litmobile.tasks.length import TrainingLength
from litmobile.tasks.run import checkpoint_path
from litmobile.tools.cli import main

LENGTH = TrainingLength(epochs=60, min_steps=1500, max_steps=15000, evaluations=15)


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs"),
    [(1, 1500), (2, 750), (24, 63), (25, 60), (100, 60), (250, 60), (251, 59), (5000, 3), (15000, 1), (40000, 1)],
)
def test_epochs_follow_the_data_within_limits(steps_per_epoch: int, epochs: int) -> None:
    assert LENGTH.count_epochs(steps_per_epoch) == epochs


@pytest.mark.parametrize(
    ("epochs", "train", "val", "interval"),
    [
        (60, 205, 87, 4),  # 15 validations
        (1500, 10, 5, 100),
        (20, 245, 153, 4),  # 20 epochs pay for 6 validations
        (3, 40000, 1000, 1),
        (60, 100, 10000, 60),  # only the last
        (60, 100, 0, 4),
    ],
)
def test_validations_take_at_most_a_tenth_of_the_time(epochs: int, train: int, val: int, interval: int) -> None:
    assert LENGTH.choose_interval(epochs, train, val) == interval


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"min_steps": 0}, {"evaluations": 0}, {"min_steps": 9, "max_steps": 8}]
)
def test_lengths_out_of_range_are_refused(wrong: dict[str, int], assert_one_sentence) -> None:
    with pytest.raises(UserError) as refused:
        TrainingLength(**wrong)
    assert_one_sentence(refused.value, "length.", *wrong)


def fit(shapes: Path, run: Path, *words: str) -> dict:
    """Train the recipe for own objects on tiny inputs: five batches, i.e. three steps, an epoch."""
    tiny = ["--model.backbone.variant=small", "--model.preprocessing.size=[64,64]", "--model.backbone.tail=detection"]
    data = [f"--data.root={shapes}", "--data.batch_size=2", "--data.num_workers=0"]
    length = ["--model.length.epochs=1", "--model.length.min_steps=16", "--model.length.max_steps=17"]
    trainer = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    main(["fit", "--config=detection/finetune", f"--run={run}", *tiny, *data, *length, *trainer, *words])
    return torch.load(checkpoint_path(run, "last"), weights_only=True)


def test_recipe_for_own_objects_decides_from_the_data(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    accumulated = ["--trainer.accumulate_grad_batches=2", "--model.length.evaluations=2"]
    with caplog.at_level("INFO"):
        last = fit(shapes, tmp_path / "run", *accumulated)
    assert last["global_step"] == 18
    assert last["optimizer_states"][0]["param_groups"][0]["lr"] < 1e-4, "the schedule has the same length"
    assert "Length for 10 images: 18 steps in 6 epochs, validated every 3 epochs." in caplog.text
    assert "The backbone starts from random weights. No ImageNet weights are published for MobileNetV3" in caplog.text
    steps = [entry["step"] for entry in json.loads((tmp_path / "run/metrics.json").read_text())]
    assert steps == [9, 18]
    stored = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"]["init_args"]
    assert stored["anchors"] is None
    for name in ("anchor_scales", "aspect_ratios"):
        assert stored["head"]["init_args"][name] == last["network"]["head"]["init_args"][name]
    assert f"Anchors: anchor_scales {stored['head']['init_args']['anchor_scales']}" in caplog.text
    # neither searches again, although the data has changed
    main(["validate", f"--run={tmp_path / 'run'}", f"--data.root={shapes}", "--data.train=val"])
    main(["fit", f"--run={tmp_path / 'run'}", "--trainer.max_epochs=7"])
    assert torch.load(checkpoint_path(tmp_path / "run", "last"), weights_only=True)["global_step"] == 21
    assert caplog.text.count("Anchors:") == 1


def test_limits_of_the_trainer_replace_the_length(shapes: Path, tmp_path: Path) -> None:
    assert fit(shapes, tmp_path / "epochs", "--trainer.max_epochs=1")["global_step"] == 5
    assert fit(shapes, tmp_path / "steps", "--trainer.max_steps=2")["global_step"] == 2
