"""Every head learns on every backbone, LR-ASPP equals torchvision's, and unusable maps are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from litmobile.backbones import Backbone, Feature, MobileNetV2, MobileNetV3
from litmobile.heads import LRASPP, RASPP, BoxTargets, Classifier, MobileViTSSDLite, SSDLite
from litmobile.heads.contract import Head, HeadFactory
from litmobile.heads.predictions import IGNORED
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.pretrained import load_state_into, split_state

NUM_CLASSES = 4
BATCH = 2
SIZES = [(64, 64), (97, 65)]
FEATURES = {"fine": Feature(8, 8), "coarse": Feature(16, 32)}

BackboneFor = Callable[[str], Backbone]
OneSentence = Callable[..., None]


def boxes_of_all_sizes(size: tuple[int, int]) -> BoxTargets:
    """Returns six objects in the first image, one for the anchors of each level, and none in the second."""
    shares = torch.tensor([0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
    corners = torch.stack((torch.zeros(6), torch.zeros(6), shares * min(size), shares * min(size)), dim=-1)
    labels = torch.full((BATCH, 7), -1)
    labels[0, :6] = torch.arange(6) % NUM_CLASSES
    boxes = torch.zeros(BATCH, 7, 4)
    boxes[0, :6] = corners
    return BoxTargets(boxes, labels)


def label_maps(size: tuple[int, int]) -> Tensor:
    labels = torch.randint(NUM_CLASSES, (BATCH, *size), generator=torch.Generator().manual_seed(0))
    labels[:, : size[0] // 3] = IGNORED
    return labels


class Kind(NamedTuple):
    """A head, its role, and a function that returns targets for images of a size."""

    make: HeadFactory
    role: str
    targets: Callable[[tuple[int, int]], Any]


HEADS = {
    "SSDLite": Kind(SSDLite, "detection", boxes_of_all_sizes),
    "SSDLite-focal": Kind(partial(SSDLite, loss="focal", layout="tensorflow"), "detection", boxes_of_all_sizes),
    "MobileViTSSDLite": Kind(MobileViTSSDLite, "detection", boxes_of_all_sizes),
    "LRASPP": Kind(LRASPP, "segmentation", label_maps),
    "LRASPP-large": Kind(partial(LRASPP, pool="large"), "segmentation", label_maps),
    "RASPP": Kind(RASPP, "segmentation", label_maps),
    "Classifier": Kind(Classifier, "classification", lambda size: torch.tensor([1, 3])),
    "Classifier-hidden": Kind(partial(Classifier, hidden_dim=24), "classification", lambda size: torch.tensor([0, 2])),
    "Classifier-cells": Kind(partial(Classifier, pool_size=4), "classification", lambda size: torch.tensor([2, 1])),
}


class Pair(nn.Module):
    """A backbone with a head, narrowed to the head's maps."""

    def __init__(self, backbone: Backbone, make: HeadFactory, role: str, maps: tuple[str, ...] | None = None) -> None:
        super().__init__()
        maps = maps or backbone.feature_names(role)
        features = backbone.head_features(maps)
        backbone.select(maps)
        self.backbone = backbone
        self.head = make(features, NUM_CLASSES)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.backbone(images), (images.shape[2], images.shape[3]))


def images_of(size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(BATCH, 3, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("kind", HEADS.values(), ids=HEADS)
def test_every_parameter_of_a_head_learns_at_any_size(kind: Kind, backbone_for: BackboneFor) -> None:
    torch.manual_seed(0)
    network = Pair(backbone_for(kind.role), kind.make, kind.role).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    for size in SIZES:
        terms = network.head.loss(network(images_of(size)), kind.targets(size))
        loss = torch.stack(list(terms.values())).sum()
        assert loss.isfinite() and loss > 0
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, f"{name} has no gradient"
            assert parameter.grad.isfinite().all(), name
        assert any(parameter.grad.any() for parameter in network.backbone.parameters())
        optimizer.step()
        assert all(parameter.isfinite().all() for parameter in network.parameters())
    with torch.no_grad():
        assert torch.stack(list(network.head.loss(network(images_of(size)), kind.targets(size)).values())).isfinite()[0]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", HEADS.values(), ids=HEADS)
def test_predictions_match_the_images_in_number_and_size(
    kind: Kind, size: tuple[int, int], backbone_for: BackboneFor
) -> None:
    network = Pair(backbone_for(kind.role), kind.make, kind.role).eval()
    with torch.no_grad():
        predictions = network.head.decode(network(images_of(size)), size)
    assert len(predictions) == BATCH
    for prediction in predictions:
        if kind.role == "segmentation":
            assert prediction.labels.shape == size and prediction.labels.dtype == torch.int64
            assert prediction.labels.min() >= 0 and prediction.labels.max() < NUM_CLASSES
        elif kind.role == "classification":
            assert prediction.scores.shape == (NUM_CLASSES,)
            assert prediction.scores.sum().item() == pytest.approx(1, abs=1e-5)
        else:
            assert (prediction.boxes[:, 2:] <= torch.tensor([size[1], size[0]])).all()
            assert ((prediction.labels >= 0) & (prediction.labels < NUM_CLASSES)).all()


# LR-ASPP against torchvision


@pytest.fixture(scope="module")
def peer() -> nn.Module:
    """LR-ASPP of torchvision in float64, with statistics that are not 0 and 1."""
    torch.manual_seed(0)
    network = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=NUM_CLASSES).double()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network


def with_weights_of(peer: nn.Module) -> Network:
    """Builds our LR-ASPP with all tensors of torchvision's."""
    classes = [f"class_{k}" for k in range(NUM_CLASSES)]
    normalised = Preprocessing((64, 64), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # the peer does not normalise
    maps = ("c3_first", "final")  # torchvision's fine branch sits on the first block at stride 8
    network = Network(MobileNetV3(output_stride=16), LRASPP, classes, normalised, feature_maps=maps).double()
    report = load_state_into(network, split_state(network.head, peer.state_dict()), "torchvision")
    assert (report.loaded, report.new) == (len(peer.state_dict()), ())
    return network


def relative(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item()


def assert_same_gradients(network: nn.Module, peer: nn.Module, prefix: str) -> None:
    """Asserts that gradients of parameters with ``prefix`` equal those of ``peer``, relative to the largest."""
    gradients = copy.deepcopy(peer)
    with torch.no_grad():  # gradients stored as weights, so that the loader matches them with ours
        for held, parameter in zip(gradients.parameters(), peer.parameters(), strict=True):
            held.copy_(parameter.grad)
    theirs = dict(with_weights_of(gradients).named_parameters())
    largest = max(theirs[name].abs().max().item() for name in theirs if name.startswith(prefix))
    assert largest > 0
    for name, ours in network.named_parameters():
        if name.startswith(prefix):
            assert (ours.grad - theirs[name]).abs().max().item() <= 1e-10 * largest, name


LRASPP_SIZES = pytest.mark.parametrize("size", [*SIZES, (65, 130)], ids=str)


@LRASPP_SIZES
def test_the_lraspp_head_is_torchvisions(peer: nn.Module, size: tuple[int, int]) -> None:
    network, reference, images = (
        with_weights_of(peer).train(),
        copy.deepcopy(peer).train(),
        images_of(size, torch.float64),
    )
    theirs = reference.backbone(images)
    assert relative(network.backbone(images)["final"], theirs["high"]) < 1e-10
    maps = {"c3_first": theirs["low"].detach(), "final": theirs["high"].detach()}
    output, expected = network.head(maps, size), reference(images)["out"]
    assert relative(output, expected) < 1e-10
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (output * weights).sum().backward()
    (expected * weights).sum().backward()
    assert_same_gradients(network, reference, "head.")


@LRASPP_SIZES
def test_lraspp_on_mobilenet_v3_is_torchvisions(peer: nn.Module, size: tuple[int, int]) -> None:
    network, reference = with_weights_of(peer), copy.deepcopy(peer)
    images, labels = images_of(size, torch.float64), label_maps(size)
    with torch.no_grad():
        assert relative(network.eval()(images), reference.eval()(images)["out"]) < 1e-10
    F.cross_entropy(network.train()(images), labels, ignore_index=IGNORED).backward()
    F.cross_entropy(reference.train()(images)["out"], labels, ignore_index=IGNORED).backward()
    assert_same_gradients(network, reference, "")


# losses


@pytest.mark.parametrize("labelled", [0, 1, 5, 48])
def test_unlabelled_pixels_are_ignored(labelled: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, NUM_CLASSES, 6, 8, generator=generator).requires_grad_()
    labels = torch.randint(NUM_CLASSES, (1, 6, 8), generator=generator)
    labels.flatten()[labelled:] = IGNORED
    loss = LRASPP(FEATURES, NUM_CLASSES).loss(logits, labels)["segmentation"]
    loss.backward()
    seen = (labels != IGNORED).expand(NUM_CLASSES, -1, -1).unsqueeze(0)
    assert not logits.grad[~seen].any() and logits.grad.isfinite().all()
    if labelled:
        expected = F.cross_entropy(logits[seen].view(NUM_CLASSES, -1).T, labels[labels != IGNORED])
        torch.testing.assert_close(loss, expected)
    else:
        assert loss == 0


def dense_heads() -> list[tuple[Head, tuple[int, ...], Tensor]]:
    """Returns the heads without boxes: a head, the shape of its logits, and targets."""
    return [
        (LRASPP(FEATURES, NUM_CLASSES), (BATCH, NUM_CLASSES, 9, 11), label_maps((9, 11))),
        (RASPP(FEATURES, NUM_CLASSES), (BATCH, NUM_CLASSES, 9, 11), label_maps((9, 11))),
        (Classifier(FEATURES, NUM_CLASSES), (BATCH, NUM_CLASSES), torch.tensor([0, 3])),
    ]


@pytest.mark.parametrize(("head", "shape", "targets"), dense_heads(), ids=["LRASPP", "RASPP", "Classifier"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_losses_of_half_precision_are_finite(
    head: Head, shape: tuple[int, ...], targets: Tensor, dtype: torch.dtype
) -> None:
    logits = torch.full(shape, 6e4).to(dtype)
    logits[:, 0] = -6e4
    (loss,) = head.loss(logits.requires_grad_(), targets).values()
    loss.backward()
    assert loss.isfinite() and logits.grad.isfinite().all()


@pytest.mark.parametrize(("head", "shape", "targets"), dense_heads(), ids=["LRASPP", "RASPP", "Classifier"])
def test_losses_keep_double_precision(head: Head, shape: tuple[int, ...], targets: Tensor) -> None:
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (loss,) = head.loss(logits, targets).values()
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets, ignore_index=IGNORED), rtol=1e-12, atol=0)


# maps that a head cannot use


def without_coarse_maps() -> Backbone:
    backbone = MobileNetV2(0.35)
    backbone.select(["c3"])
    return backbone


UNUSABLE_MAPS: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "SSDLite on maps of one stride": (lambda: Pair(MobileNetV3(output_stride=16), SSDLite, "detection"), ("final",)),
    "SSDLite on maps in the wrong order": (
        lambda: SSDLite({"c5": Feature(8, 32), "c4": Feature(8, 16)}, 3),
        ("c5 (stride 32), c4 (stride 16)",),
    ),
    "SSDLite on nothing": (lambda: SSDLite({}, 3), ("SSDLite",)),
    "SSDLite on a network without its maps": (
        lambda: Pair(without_coarse_maps(), SSDLite, "detection"),
        ("MobileNetV2", "detection", "c3 (stride 8)"),
    ),
    "LRASPP on one map": (lambda: LRASPP({"c5": Feature(8, 32)}, 3), ("LRASPP", "c5", "32")),
    "LRASPP on three maps": (lambda: LRASPP({f"c{k}": Feature(8, 2**k) for k in (3, 4, 5)}, 3), ("LRASPP", "c4")),
    "LRASPP on maps in the wrong order": (
        lambda: LRASPP({"c5": Feature(8, 32), "c3": Feature(8, 8)}, 3),
        ("LRASPP", "c5, c3", "32, 8"),
    ),
    "LRASPP on nothing": (lambda: LRASPP({}, 3), ("LRASPP",)),
    "LRASPP without classes": (lambda: LRASPP({"a": Feature(8, 8), "b": Feature(8, 32)}, 0), ("LRASPP", "0")),
    "LRASPP with more classes than a byte": (
        lambda: LRASPP({"a": Feature(8, 8), "b": Feature(8, 32)}, 255),
        ("LRASPP", "254", "255"),
    ),
    "LRASPP without filters": (
        lambda: LRASPP({"a": Feature(8, 8), "b": Feature(8, 32)}, 3, channels=0),
        ("LRASPP", "channels", "0"),
    ),
    "LRASPP with another pool": (
        lambda: LRASPP({"a": Feature(8, 8), "b": Feature(8, 32)}, 3, pool="average"),
        ("LRASPP", "global or large", "average"),
    ),
    "RASPP on nothing": (lambda: RASPP({}, 3), ("RASPP",)),
    "RASPP without classes": (lambda: RASPP({"a": Feature(8, 8)}, 0), ("RASPP", "0")),
    "RASPP without filters": (lambda: RASPP({"a": Feature(8, 8)}, 3, channels=-1), ("RASPP", "-1")),
    "Classifier on nothing": (lambda: Classifier({}, 3), ("Classifier",)),
    "Classifier with one class": (lambda: Classifier({"final": Feature(8, 32)}, 1), ("Classifier", "1")),
}


@pytest.mark.parametrize(("build", "mentioned"), UNUSABLE_MAPS.values(), ids=UNUSABLE_MAPS)
def test_unusable_maps_are_refused_in_one_sentence(
    build: Callable[[], object], mentioned: tuple[str, ...], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 — the message is checked below
        build()
    assert_one_sentence(caught.value, *mentioned)
