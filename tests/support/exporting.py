"""Small networks to export, and what an exported file has to give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from litmobile.heads import LRASPP, RASPP, Classifier, MobileViTSSDLite, SSDLite
from litmobile.heads.contract import HeadFactory
from litmobile.heads.predictions import Detections, Segmentation
from litmobile.tasks.network import Network, Predictor
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.benchmark.untrained import imitate_training
from litmobile.tools.export.module import ExportModule, SegmentationOutput, describe_module
from litmobile.tools.export.writers.onnx_file import write_onnx
from support.families import build_small

Perturb = Callable[[nn.Module], nn.Module]

HEADS: dict[str, tuple[str, HeadFactory]] = {
    "Classifier": ("classification", partial(Classifier, hidden_dim=24)),
    "LRASPP": ("segmentation", LRASPP),
    "RASPP": ("segmentation", RASPP),
    # many objects, so that every limit of the postprocessing acts
    "SSDLite": ("detection", partial(SSDLite, topk_candidates=20, detections_per_img=30)),
    "MobileViTSSDLite": ("detection", MobileViTSSDLite),
}
CLASSES = ("bolt", "nut", "Käfer")
RUN = {"folder": "runs/none", "epoch": 3, "step": 40, "weights": "0"}
IMAGE_TOLERANCE, BOX_TOLERANCE = 1e-4, 0.01  # relative, and pixels


def make_network(
    family: str,
    head: str,
    as_if_trained: Perturb,
    size: tuple[int, int] = (64, 96),
    fit: Literal["stretch", "pad", "crop"] = "stretch",
) -> Network:
    """Builds a small network with perturbed weights, in evaluation mode."""
    torch.manual_seed(0)
    role, factory = HEADS[head]
    network = Network(build_small(family, role), factory, CLASSES, Preprocessing(size, fit), role=role)
    as_if_trained(network)
    return imitate_training(network, make_images(16, size))


def export_onnx(network: Network, path: Path, segmentation: SegmentationOutput = "labels", **options: object) -> Path:
    """Writes ``network`` as an ONNX file."""
    module = ExportModule(network, segmentation)
    write_onnx(module, path, describe_module(network, module, RUN), **options)  # pyright: ignore[reportArgumentType]
    return path


def make_images(count: int, size: tuple[int, int] = (64, 96)) -> Tensor:
    """Returns uint8 images ``[N, 3, H, W]`` of smooth colours with edges."""
    random = np.random.default_rng(count)
    coarse = torch.from_numpy(random.integers(0, 256, (count, 3, 8, 8)).astype(np.float32))
    return nn.functional.interpolate(coarse, size=size, mode="bilinear").round().to(torch.uint8)


@torch.inference_mode()
def predict_batch(predictor: Predictor, images: Tensor) -> list[object]:
    """Predicts on images of the input's size."""
    return list(predictor.decode(predictor(images), predictor.preprocessing.size))


def assert_equal_predictions(found: Sequence[object], expected: Sequence[object]) -> None:
    """Checks that predictions are equal but for rounding."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, Detections):
            assert isinstance(ours, Detections)
            assert_equal_detections(ours, theirs)
        elif isinstance(theirs, Segmentation):
            assert isinstance(ours, Segmentation)
            assert (ours.labels == theirs.labels).float().mean() > 0.999  # two classes can be equal but for rounding
        else:
            assert isinstance(ours, tuple)
            assert isinstance(theirs, tuple)
            torch.testing.assert_close(ours[0], theirs[0], rtol=IMAGE_TOLERANCE, atol=1e-6)


def assert_equal_detections(found: Detections, expected: Detections) -> None:
    """Checks that boxes, scores and labels are equal."""
    assert len(expected.scores) > 10
    assert expected.scores[0] < 0.9999  # of saturated scores, rounding would choose
    assert len(found.scores) == len(expected.scores)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=IMAGE_TOLERANCE * float(expected.scores[0]))
    for box, score, label in zip(*expected, strict=True):  # nearly equal scores can change places
        alike = (found.labels == label) & ((found.scores - score).abs() <= 1e-4)
        assert (found.boxes[alike] - box).abs().amax(1).min() <= BOX_TOLERANCE
