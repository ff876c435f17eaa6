"""SSDLite equals torchvision's ssdlite320_mobilenet_v3_large with the same weights and inputs."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights, ssdlite320_mobilenet_v3_large

from litmobile.backbones import MobileNetV3
from litmobile.heads import BoxTargets, SSDLite
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.pretrained import load_state_into, split_state

COCO = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.meta["categories"][1:]
NUM_CLASSES = len(COCO)
SIZE = 320


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    torch.manual_seed(0)
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=NUM_CLASSES + 1)
    for layer in network.modules():  # statistics other than 0 and 1, as after training
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network


def ours(peer: nn.Module, dtype: torch.dtype = torch.float32) -> Network:
    backbone = MobileNetV3(tail="detection", norm_momentum=0.03)
    network = Network(backbone, SSDLite, COCO, Preprocessing((SIZE, SIZE)), role="detection").to(dtype)
    report = load_state_into(network, split_state(network.head, peer.state_dict()), "torchvision")
    assert (report.loaded, report.new, report.differences) == (len(peer.state_dict()), (), ())
    return network


def scene(objects: list[int], dtype: torch.dtype) -> tuple[Tensor, BoxTargets]:
    """Returns random images with the given numbers of objects, small (with ties between anchors) and large."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(len(objects), 3, SIZE, SIZE, generator=generator).to(dtype)
    most = max(objects)
    size = SIZE * torch.rand(len(objects), most, 2, generator=generator) ** 2 * 0.8 + 3
    corner = torch.rand(len(objects), most, 2, generator=generator) * (SIZE - size)
    labels = torch.randint(NUM_CLASSES, (len(objects), most), generator=generator)
    for row, count in enumerate(objects):
        labels[row, count:] = -1
    return images, BoxTargets(torch.cat((corner, corner + size), dim=-1).to(dtype), labels)


def as_peer_targets(targets: BoxTargets) -> list[dict[str, Tensor]]:
    return [
        {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1} for boxes, labels in zip(*targets, strict=True)
    ]


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()


TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def test_parameters_are_torchvisions(peer: nn.Module) -> None:
    assert sum(p.numel() for p in ours(peer).parameters()) == 3_440_060
    assert sum(p.numel() for p in peer.parameters()) == 3_440_060


@DTYPES
def test_outputs_and_anchors_equal(peer: nn.Module, dtype: torch.dtype) -> None:
    network, reference = ours(peer, dtype).eval(), copy.deepcopy(peer).to(dtype).eval()
    images, _ = scene([2, 0], dtype)
    output = network(images)
    prepared, _ = reference.transform(list(images))
    features = list(reference.backbone(prepared.tensors).values())
    expected = reference.head(features)
    assert relative(output.logits, expected["cls_logits"]) < TOLERANCE[dtype]
    assert relative(output.offsets, expected["bbox_regression"]) < TOLERANCE[dtype]
    assert torch.equal(output.anchors, reference.anchor_generator(prepared, features)[0])
    assert len(output.anchors) == 3234


@DTYPES
@pytest.mark.parametrize("objects", [[7, 3], [12, 0, 1], [0, 0]], ids=str)
def test_losses_and_gradients_equal(peer: nn.Module, dtype: torch.dtype, objects: list[int]) -> None:
    network, reference = ours(peer, dtype).train(), copy.deepcopy(peer).to(dtype).train()
    images, targets = scene(objects, dtype)
    losses = network.head.loss(network(images), targets)
    expected = reference(list(images), as_peer_targets(targets))
    pairs = {"classification": "classification", "boxes": "bbox_regression"}
    for name, theirs in pairs.items():
        torch.testing.assert_close(losses[name], expected[theirs], rtol=TOLERANCE[dtype], atol=1e-12)

    sum(losses.values()).backward()
    sum(expected.values()).backward()
    gradients = copy.deepcopy(reference)
    with torch.no_grad():  # gradients stored as weights, so that the loader matches them with ours
        for ours_as_theirs, p in zip(gradients.parameters(), reference.parameters(), strict=True):
            ours_as_theirs.copy_(p.grad)
    paired = ours(gradients, dtype)
    largest = max(p.abs().max().item() for p in paired.parameters())
    for (name, p), q in zip(network.named_parameters(), paired.parameters(), strict=True):
        # float32 sums run in another order in batch-norm's backward, and errors grow with depth
        bound = (1e-10 if dtype == torch.float64 else 1e-3) * max(largest, 1e-12)
        assert (p.grad - q).abs().max() <= bound, name


@DTYPES
def test_detections_equal(peer: nn.Module, dtype: torch.dtype) -> None:
    network, reference = ours(peer, dtype).eval(), copy.deepcopy(peer).to(dtype).eval()
    images, _ = scene([1, 1, 1], dtype)
    with torch.no_grad():
        found = network.head.decode(network(images), (SIZE, SIZE))
        expected = reference(list(images))
    for detections, theirs in zip(found, expected, strict=True):
        assert len(detections.scores) > 0
        assert torch.equal(detections.labels + 1, theirs["labels"])
        assert relative(detections.boxes, theirs["boxes"]) < TOLERANCE[dtype]
        assert relative(detections.scores, theirs["scores"]) < TOLERANCE[dtype]
