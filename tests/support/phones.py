"""Small networks in the form in which they are exported, and their descriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from litmobile.backbones import Backbone
from litmobile.heads import LRASPP, Classifier, SSDLite
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.engines.description import Description
from litmobile.tools.export.module import ExportModule, describe_module
from support.families import build_small

HEADS = {"detection": SSDLite, "segmentation": LRASPP, "classification": Classifier}


class Exportable(NamedTuple):
    """A network, and what writers take."""

    network: Network
    module: ExportModule
    description: Description


def make_exportable(
    family: str | Backbone, role: str, size: tuple[int, int] = (64, 64), fit: Literal["stretch", "pad"] = "stretch"
) -> Exportable:
    """Builds a small network of three classes whose outputs differ from image to image."""
    torch.manual_seed(0)
    backbone = build_small(family, role) if isinstance(family, str) else family
    network = Network(backbone, HEADS[role], ["a", "b", "c"], Preprocessing(size, fit), role=role).eval()
    spread_activations(network, make_images(32, size))
    module = ExportModule(network, relative_boxes=True)
    return Exportable(network, module, describe_module(network, module))


def make_images(number: int, size: tuple[int, int]) -> Tensor:
    """Returns smooth random images ``[number, 3, height, width]`` uint8, as calibration and tests need them."""
    generator = torch.Generator().manual_seed(number)
    coarse = 255 * torch.rand(number, 3, 5, 5, generator=generator)
    return nn.functional.interpolate(coarse, size=size, mode="bilinear").to(torch.uint8)


@torch.no_grad()
def spread_activations(network: Network, images: Tensor) -> None:
    """Sets the layers of the head to usual sizes, and each batch norm to the statistics of ``images``.

    With the initial statistics, outputs of random networks hardly depend on the image, and hide errors.
    """
    for layer in network.head.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.weight.mul_(0.5 / (layer.weight.std() * layer.weight[0].numel() ** 0.5))
    for norm in [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    network(images)
    network.eval()


def largest_deviations(found: Sequence[np.ndarray], expected: Sequence[Tensor]) -> list[float]:
    """Returns the largest difference of each output, relative to its range."""
    deviations = []
    for ours, theirs in zip(found, expected, strict=True):
        reference = theirs.double().numpy()
        assert ours.shape == reference.shape
        deviations.append(float(abs(ours - reference).max() / max(np.ptp(reference), 1e-12)))
    return deviations
