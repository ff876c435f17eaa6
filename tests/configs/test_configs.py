"""Every shipped configuration matches the real signatures and trains one step on generated data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import litmobile
from litmobile.tools.cli import main
from litmobile.tools.options.configurations import find_configuration, list_shipped
from support.data.images import write_class_folders
from support.data.segmentation import write_camvid, write_cityscapes, write_split
from support.data.voc import write_voc

LARGEST = 64  # pixels of the longer input side during the test
TINY = [
    "--data.num_workers=0",
    "--data.batch_size=4",
    "--trainer.max_steps=1",
    "--trainer.check_val_every_n_epoch=1",
    "--trainer.limit_val_batches=1",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
]


def read_config(name: str) -> dict[str, Any]:
    """Read the content of the configuration ``name``."""
    return yaml.safe_load(find_configuration(name).read_text())


def write_classes(root: Path) -> Path:
    """Write two class folders without a validation split."""
    return write_class_folders(root, 12)


def write_imagenet(root: Path) -> Path:
    """Write ImageNet's layout with two of its classes."""
    for split, images in (("train", 8), ("val", 4)):
        write_class_folders(root / split, images, classes=("n01440764", "n01443537"))
    return root


@pytest.fixture
def data_options(shapes: Path, tmp_path: Path) -> Callable[[str], list[str]]:
    """A function that returns the options of generated data for the data module of a given name."""

    def list_detection_options(root: Path) -> list[str]:
        return [f"--data.root={root}", "--data.train=train", "--data.val=val"]

    def write_voc_data() -> Path:
        write_voc(tmp_path / "data", shapes)
        return tmp_path / "data"

    layouts: dict[str, Callable[[], list[str]]] = {
        "CocoDetection": lambda: list_detection_options(shapes),
        "VocDetection": lambda: list_detection_options(write_voc_data()),
        "FolderDetection": lambda: list_detection_options(shapes),
        "FolderSegmentation": lambda: [f"--data.root={write_split(tmp_path / 'data', 'train', 8)}"],
        "FolderClassification": lambda: [f"--data.root={write_classes(tmp_path / 'data')}"],
        "CamVid": lambda: [f"--data.root={write_camvid(tmp_path / 'data')}"],
        "Cityscapes": lambda: [
            f"--data.root={write_cityscapes(tmp_path / 'data', ('aachen', 'bochum', 'ulm', 'zurich'))}"
        ],
        "ImageNetClassification": lambda: [f"--data.root={write_imagenet(tmp_path / 'data')}"],
    }
    return lambda module: layouts[module]()


@pytest.mark.parametrize("name", list_shipped())
def test_header_states_what_is_reproduced_and_measured(name: str) -> None:
    header = [line for line in find_configuration(name).read_text().splitlines() if line.startswith("#")]
    assert any(line.startswith("# Reproduces") for line in header)
    assert any(line.startswith("# Measured") for line in header)


@pytest.mark.parametrize("name", list_shipped())
def test_configuration_trains_one_step_and_validates(
    name: str, data_options: Callable[[str], list[str]], tmp_path: Path
) -> None:
    config = read_config(name)
    model, data = config["model"]["init_args"], config["data"]
    size = [min(side, LARGEST) for side in model["preprocessing"]["size"]]
    words = [*data_options(data["class_path"].rpartition(".")[2]), f"--model.preprocessing.size={size}", *TINY]
    if "train_sizes" in data["init_args"]:
        words.append(f"--data.train_sizes=[{LARGEST // 2},{LARGEST}]")
    if data["class_path"].endswith("Cityscapes"):
        words.append(f"--data.augmentation.crop=[{LARGEST},{LARGEST}]")
    if "backbone_weights" in model:
        words.append("--model.backbone_weights=null")  # avoids a download
    main(["fit", "--config", name, *words, "--run", str(tmp_path / "run")])
    assert torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1
    network = litmobile.load(tmp_path / "run")
    assert all(torch.isfinite(p).all() for p in network.parameters())
