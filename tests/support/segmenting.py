"""A small segmentation network to predict with, and what label maps should hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.heads import LRASPP, Segmentation
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from support.predicting import save

CLASSES = ("sky", 'a "wall", wet', "Käfer")
Labels = NDArray[np.generic]
Segment = Callable[..., Path]


def network_of(classes: tuple[str, ...]) -> Network:
    """A small network whose label maps show every class somewhere."""
    torch.manual_seed(0)
    network = Network(MobileNetV2(0.35), LRASPP, classes, Preprocessing((64, 64), "pad"), role="segmentation").eval()
    head = network.head
    assert isinstance(head, LRASPP)
    with torch.no_grad():  # at random, one class is the greatest everywhere
        logits = network(torch.from_numpy(noise(64, 64)).permute(2, 0, 1)[None])
        head.get_submodule(head.class_layers[0]).bias.sub_(logits.mean((0, 2, 3)))
    return network


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """A picture of blots of all colours."""
    rough = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def saved(classes: tuple[str, ...], path: Path) -> Path:
    """The checkpoint of :func:`network_of`."""
    return save(network_of(classes), path)


def expected(run: Path, picture: Path | Any) -> Labels:
    """The labels that Python predicts."""
    found = litmobile.load(run).predict(picture)
    assert isinstance(found, Segmentation)
    return found.labels.numpy()
