"""Every shipped configuration is read against the real signatures and takes a training step on generated data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

import litmobile
from litmobile.tools.cli import main
from litmobile.tools.configurations import find, shipped
from support.voc import write_voc


@pytest.mark.parametrize("name", shipped())
def test_the_header_says_what_is_reproduced_and_measured(name: str) -> None:
    header = [line for line in find(name).read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Reproduces") for line in header)
    assert any(line.startswith("# Measured") for line in header)


@pytest.mark.parametrize("name", shipped())
def test_it_takes_a_training_step_and_validates(name: str, shapes: Path, tmp_path: Path) -> None:
    stored = yaml.safe_load(find(name).read_text())
    layouts = {"CocoDetection": shapes, "VocDetection": tmp_path / "voc"}
    write_voc(tmp_path / "voc", shapes)
    root = layouts[stored["data"]["class_path"].rpartition(".")[2]]
    small = [64, 64] if "size" in stored["model"]["init_args"]["preprocessing"] else None
    words = [
        f"--data.root={root}",
        "--data.train=train",
        "--data.val=val",
        "--data.workers=0",
        "--data.batch_size=4",
        f"--model.preprocessing.size={small}",
        "--trainer.max_steps=1",
        "--trainer.check_val_every_n_epoch=1",
        "--trainer.limit_val_batches=1",
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
    ]
    main(["fit", "--config", name, *words, "--run", str(tmp_path / "run")])
    network = litmobile.load(tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in network.parameters())
