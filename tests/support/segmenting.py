"""A small segmentation network and the label maps that it predicts."""

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
from support.predicting import save_network

CLASSES = ("sky", 'a "wall", wet', "Käfer")
Labels = NDArray[np.generic]
Segment = Callable[..., Path]


def make_segmenter(classes: tuple[str, ...]) -> Network:
    """Make a small network whose label maps contain every class."""
    torch.manual_seed(0)
    network = Network(MobileNetV2(0.35), LRASPP, classes, Preprocessing((64, 64), "pad"), role="segmentation").eval()
    head = network.head
    assert isinstance(head, LRASPP)
    with torch.no_grad():  # with random weights one class would win everywhere
        logits = network(torch.from_numpy(noise(64, 64)).permute(2, 0, 1)[None])
        head.get_submodule(head.class_layers[0]).bias.sub_(logits.mean((0, 2, 3)))
    return network


def noise(height: int, width: int) -> NDArray[np.uint8]:
    """Make an image of coloured blots."""
    rough = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def save_segmenter(classes: tuple[str, ...], path: Path) -> Path:
    """Write a checkpoint of :func:`make_segmenter`."""
    return save_network(make_segmenter(classes), path)


def predict_labels(run: Path, image: Path | Any) -> Labels:
    """Predict labels with the Python interface."""
    prediction = litmobile.load(run).predict(image)
    assert isinstance(prediction, Segmentation)
    return prediction.labels.numpy()
