"""The main use of litmobile end to end: a detector learns. Each test takes minutes and needs `-m slow`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from litmobile.tools.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def use_two_threads() -> None:
    """Use two threads, like the machine on which the expected figures were measured."""
    torch.set_num_threads(2)


def read_average_precision(run: Path) -> float:
    return json.loads((run / "val.json").read_text())["figures"]["AP"]


def test_first_run_of_the_readme_reaches_its_ap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["sample-data"])
    main(["fit", "--config", "detection/ssdlite_shapes", "--run", "run", "--trainer.accelerator=cpu"])
    assert read_average_precision(tmp_path / "run") >= 0.45


def test_coco_recipe_overfits_80_real_images(tmp_path: Path, real_data: Path) -> None:
    """Train and evaluate on the same images, with all 80 categories and no augmentation.

    It needs 320 steps: with the recipe's momentum of 0.03, the norms' running statistics need about 300 steps to
    forget their initial values. After 200 steps the losses are as low, but AP is only 0.03.
    """
    words = [
        f"--data.root={real_data / 'coco_tiny'}",
        "--data.val=train2017",
        "--data.augmentation=Resize",
        "--data.batch_size=16",
        "--data.num_workers=1",
        "--model.optimizer=AdamW",
        "--model.optimizer.lr=2e-3",
        "--model.optimizer.weight_decay=0.01",
        "--model.base_batch_size=null",
        "--trainer.max_epochs=64",
        "--trainer.check_val_every_n_epoch=64",
        "--trainer.accelerator=cpu",
    ]
    main(["fit", "--config", "detection/ssdlite_coco", *words, "--run", str(tmp_path / "run")])
    assert read_average_precision(tmp_path / "run") > 0.35


def test_coco_recipe_runs_on_real_data_with_only_a_new_root(tmp_path: Path, real_data: Path) -> None:
    words = [f"--data.root={real_data / 'coco_tiny'}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    main(["fit", "--config", "detection/ssdlite_coco", *words, "--run", str(tmp_path / "run")])
    main(["validate", "--run", str(tmp_path / "run")])
    assert len(json.loads((tmp_path / "run" / "val.json").read_text())["AP_per_class"]) == 80
