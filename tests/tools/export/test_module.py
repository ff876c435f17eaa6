"""The form of a network that is exported: what it outputs, and what cannot be exported."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from litmobile.backbones import MobileNetV2, TimmBackbone
from litmobile.errors import UserError
from litmobile.heads import Classifier, SSDLite
from litmobile.heads.contract import Head
from litmobile.heads.predictions import Detections
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.export.module import ExportModule, reparameterize
from support.exporting import HEADS, make_images, make_network
from support.families import SMALL


@pytest.mark.parametrize("head", HEADS)
def test_module_gives_what_the_head_decodes(head: str) -> None:
    """Normalisation as one product and one sum changes nothing but rounding."""
    network = make_network("MobileViT", head)
    module, images = ExportModule(network, "logits"), make_images(2)
    with torch.inference_mode():
        found = module.named_outputs(images)
        expected = network.head.exported_outputs(network(images), (64, 96))
    assert tuple(found) == module.outputs == tuple(expected)
    for name, values in expected.items():
        assert (found[name] - values).abs().max() <= 1e-4 * values.abs().max()


def test_relative_boxes_are_fractions_of_the_input() -> None:
    network = make_network("MobileNetV1", "SSDLite")
    images = make_images(1)
    with torch.inference_mode():
        pixels = ExportModule(network).named_outputs(images)["boxes"]
        relative = ExportModule(network, relative_boxes=True).named_outputs(images)["boxes"]
    torch.testing.assert_close(relative * torch.tensor([96.0, 64, 96, 64]), pixels)
    assert relative.amax() <= 1


@pytest.mark.parametrize("name", ["repvgg_a0", "mobileone_s0", "repvit_m0_9", "fastvit_t8", "repghostnet_050"])
def test_timm_networks_are_reparameterised(name: str) -> None:
    """Fewer parameters or layers, the same maps."""
    torch.manual_seed(0)
    network = Network(TimmBackbone(name), Classifier, ["a", "b"], Preprocessing((64, 64)), role="classification").eval()
    deployed = reparameterize(network)
    assert len(list(deployed.modules())) < len(list(network.modules()))
    images = make_images(1, (64, 64))
    with torch.inference_mode():
        torch.testing.assert_close(deployed(images), network(images), rtol=1e-3, atol=1e-5)


class Cells(Head):
    """A user's detector that cannot be exported yet."""

    role = "detection"

    def __init__(self, features: Any, num_classes: int) -> None:
        super().__init__()
        (self.map, _), *_ = features.items()

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        return maps[self.map]

    def loss(self, output: Any, targets: Any) -> dict[str, Tensor]:
        return {}

    def decode(self, output: Any, image_size: tuple[int, int]) -> list[Detections]:
        return []


class OddCells(Cells):
    """The same with outputs that no engine knows."""

    def exported_outputs(self, output: Any, image_size: tuple[int, int]) -> dict[str, Tensor]:
        return {"centres": output}


class UnlimitedCells(Cells):
    """The same with the outputs of a detector, but without limits."""

    def exported_outputs(self, output: Any, image_size: tuple[int, int]) -> dict[str, Tensor]:
        return {"boxes": output[:, 0, :, :4], "scores": output[:, 0, :, :1]}


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (Cells, "Cells cannot be exported: define its method exported_outputs"),
        (OddCells, "OddCells cannot be exported: its exported_outputs must be probabilities, .* not centres"),
        (UnlimitedCells, "UnlimitedCells cannot be exported: define its attribute postprocess, a PostprocessConfig"),
    ],
)
def test_own_head_learns_what_to_define(head: type[Head], message: str) -> None:
    network = Network(SMALL["MobileNetV2"](), head, ["a"], Preprocessing((64, 64)), role="detection")
    with pytest.raises(UserError, match=message):
        ExportModule(network)


class Rigid(Classifier):
    """A head for maps of one size."""

    def forward(self, maps: dict[str, Tensor], image_size: tuple[int, int]) -> Tensor:
        return self.layers(maps[self.map].reshape(-1, 1280))


def test_size_that_the_network_cannot_take_is_named() -> None:
    network = Network(MobileNetV2(), Rigid, ["a", "b"], Preprocessing((100, 64)), role="classification")
    network.head.layers = torch.nn.Linear(1281, 2)
    with pytest.raises(UserError, match=r"Rigid on MobileNetV2 does not take images of 100×64 pixels: "):
        ExportModule(network)


def test_network_itself_is_not_changed() -> None:
    network = Network(MobileNetV2(0.35), SSDLite, ["a"], Preprocessing((64, 64)), role="detection").train()
    ExportModule(network)
    assert network.training


class PlainClassifier(Classifier):
    """A head that does not declare its role."""

    role = ""


def test_role_follows_from_the_outputs() -> None:
    network = Network(MobileNetV2(), PlainClassifier, ["a", "b"], Preprocessing((64, 64)), role="classification")
    assert network.head.role == ""
    assert ExportModule(network).role == "classification"
