"""The COCO recipe learns and evaluates on real images. It takes minutes and needs `-m slow`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.training import read_average_precision

pytestmark = pytest.mark.slow


def test_coco_recipe_overfits_80_real_images(tmp_path: Path, real_data: Path) -> None:
    """Train and evaluate on the same images of 224 pixels, with all 80 categories and no augmentation.

    With the recipe's momentum of 0.03, the norms' running statistics would need 300 steps to forget their initial
    values; with 0.1, 200 steps suffice.
    """
    words = [
        f"--data.root={real_data / 'coco_tiny'}",
        "--data.val=train2017",
        "--data.augmentation=Resize",
        "--data.batch_size=8",
        "--model.preprocessing.size=[224,224]",
        "--data.num_workers=1",
        "--model.optimizer=AdamW",
        "--model.optimizer.lr=2e-3",
        "--model.optimizer.weight_decay=0.01",
        "--model.base_batch_size=null",
        "--model.backbone.norm_momentum=0.1",
        "--model.head.norm_momentum=0.1",
        "--trainer.max_epochs=20",
        "--trainer.check_val_every_n_epoch=20",
        "--trainer.accelerator=cpu",
    ]
    main(["fit", "--config", "detection/ssdlite_coco", *words, "--run", str(tmp_path / "run")])
    assert read_average_precision(tmp_path / "run") > 0.35


def test_coco_recipe_runs_on_real_data_with_only_a_new_root(tmp_path: Path, real_data: Path) -> None:
    words = [f"--data.root={real_data / 'coco_tiny'}", "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]
    main(["fit", "--config", "detection/ssdlite_coco", *words, "--run", str(tmp_path / "run")])
    main(["validate", "--run", str(tmp_path / "run")])
    assert len(json.loads((tmp_path / "run" / "val.json").read_text())["AP_per_class"]) == 80
