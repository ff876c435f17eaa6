"""Real pretrained weights: with a partial ImageNet file, a linear probe separates ants from bees."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
from torch import Tensor

from litmobile.backbones import MobileNetV1, load_weights
from litmobile.backbones.blocks import Padding
from litmobile.tasks.images import read_image

SIZE = 160
PENALTY = 300  # leave-one-out on the training images prefers 100 to 300
CLASSES = ("ants", "bees")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


def read(folder: Path) -> tuple[Tensor, Tensor]:
    """Reads all images of a split ``[N, 3, 160, 160]`` in −1 … 1, as in training, and their classes."""
    files = [(path, k) for k, name in enumerate(CLASSES) for path in sorted((folder / name).iterdir())]
    files = [(path, k) for path, k in files if path.suffix.lower() in IMAGE_SUFFIXES]
    images = [cv2.resize(read_image(path), (SIZE, SIZE), interpolation=cv2.INTER_AREA) for path, _ in files]
    stacked = torch.stack([torch.from_numpy(image) for image in images]).permute(0, 3, 1, 2)
    return stacked / 127.5 - 1, torch.tensor([k for _, k in files])


def probe(backbone: MobileNetV1, data: Path) -> float:
    """Returns the validation accuracy of a ridge regression on the mean of the map at stride 16."""
    backbone.select(["c4"])
    splits: dict[str, tuple[Tensor, Tensor]] = {}
    for split in ("train", "val"):
        images, classes = read(data / split)
        with torch.inference_mode():
            x = torch.cat([backbone(batch)["c4"].mean((2, 3)) for batch in images.split(64)])
        splits[split] = (x.double(), classes)
    (x, classes), (held_out, truth) = splits["train"], splits["val"]
    mean, std = x.mean(0), x.std(0)
    x, held_out = (x - mean) / std, (held_out - mean) / std
    centre = classes.double().mean()
    ridge = x.T @ x + PENALTY * torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(ridge, x.T @ (classes.double() - centre))
    return float(((held_out @ weights + centre > 0.5) == truth).double().mean())


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_probe_on_real_weights_separates_ants_from_bees(padding: Padding, real_data: Path) -> None:
    """Also with another padding than in training."""
    backbone = MobileNetV1(activation="relu6", norm_eps=1e-3, padding=padding)
    report = load_weights(backbone, real_data / "weights" / "mobilenetv1_100_imagenet_partial.safetensors")
    assert report.missing == tuple(
        f"layers.13.project.{leaf}"
        for leaf in ("conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")
    )
    assert probe(backbone.eval(), real_data / "ants_bees") >= 0.86


def test_probe_on_random_weights_is_poor(real_data: Path) -> None:
    torch.manual_seed(0)
    backbone = MobileNetV1(activation="relu6").train()  # norms of untrained networks have no running statistics
    assert probe(backbone, real_data / "ants_bees") < 0.75
