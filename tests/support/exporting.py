"""Small networks to export, and what an exported file has to give."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from litmobile.backbones import Backbone
from litmobile.heads import LRASPP, RASPP, Classifier, MobileViTSSDLite, SSDLite
from litmobile.heads.contract import HeadFactory
from litmobile.heads.predictions import Detections, Segmentation
from litmobile.tasks.network import Network, Predictor
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.benchmark.untrained import imitate_training
from litmobile.tools.engines.description import Description
from litmobile.tools.export.module import ExportModule, SegmentationOutput, describe_module
from litmobile.tools.export.writers.onnx_file import write_onnx
from support.families import SMALL, build_small, perturb

Fit = Literal["stretch", "pad", "crop"]

HEADS: dict[str, tuple[str, HeadFactory]] = {
    "Classifier": ("classification", partial(Classifier, hidden_dim=24)),
    "LRASPP": ("segmentation", LRASPP),
    "RASPP": ("segmentation", RASPP),
    # many objects, so that every limit of the postprocessing acts
    "SSDLite": ("detection", partial(SSDLite, topk_candidates=20, detections_per_img=30)),
    "MobileViTSSDLite": ("detection", MobileViTSSDLite),
}
#: a head for each role
ROLE_HEADS = {"classification": "Classifier", "segmentation": "LRASPP", "detection": "SSDLite"}
#: every family under the head with most operators, and one family under all heads
PHONE_PAIRS = [
    (family, role) for family in SMALL for role in ROLE_HEADS if role == "detection" or family == "MobileNetV3"
]
CLASSES = ("bolt", "nut", "Käfer")
RUN = {"folder": "runs/none", "epoch": 3, "step": 40, "weights": "0"}
IMAGE_TOLERANCE, BOX_TOLERANCE = 1e-4, 0.01  # relative, and pixels


class Exportable(NamedTuple):
    """A network in the form for phones, and what writers take."""

    network: Network
    module: ExportModule
    description: Description


def make_network(family: str | Backbone, head: str, size: tuple[int, int] = (64, 96), fit: Fit = "stretch") -> Network:
    """Builds a small network whose outputs differ from image to image, in evaluation mode."""
    torch.manual_seed(0)
    role, factory = HEADS[head]
    backbone = build_small(family, role) if isinstance(family, str) else family
    network = Network(backbone, factory, CLASSES, Preprocessing(size, fit), role=role)
    perturb(network)
    return imitate_training(network, make_images(16, size))


def make_exportable(
    family: str | Backbone, role: str, size: tuple[int, int] = (64, 64), fit: Fit = "stretch"
) -> Exportable:
    """Builds a small network for a phone format, with the head that is tested for ``role``."""
    network = make_network(family, ROLE_HEADS[role], size, fit)
    module = ExportModule(network, relative_boxes=True)
    return Exportable(network, module, describe_module(network, module))


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


def largest_deviations(found: Sequence[np.ndarray], expected: Sequence[Tensor]) -> list[float]:
    """Returns the largest difference of each output, relative to its range."""
    deviations = []
    for ours, theirs in zip(found, expected, strict=True):
        reference = theirs.double().numpy()
        assert ours.shape == reference.shape
        deviations.append(float(abs(ours - reference).max() / max(np.ptp(reference), 1e-12)))
    return deviations
