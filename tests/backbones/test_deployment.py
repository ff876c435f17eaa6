"""Every family and head can be compiled, and exported for any batch size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.utils._pytree import tree_leaves

from litmobile.backbones import Backbone, EffNet
from litmobile.heads import LRASPP, Classifier, MobileViTSSDLite, SSDLite
from litmobile.heads.contract import HeadFactory
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from support.families import FAMILIES, SMALL

Perturb = Callable[[nn.Module], nn.Module]
Deviation = Callable[[Tensor, Tensor], float]

ODD = (33, 47)
EXAMPLE, OTHERS = 2, (1, 5)  # batch sizes at export and afterwards
TOLERANCE = 1e-4  # of the largest value


def images_of(count: int, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    if dtype is torch.uint8:
        return torch.randint(256, (count, 3, *size), generator=generator, dtype=dtype)
    return torch.randn(count, 3, *size, generator=generator, dtype=dtype)


def export(network: nn.Module, example: Tensor) -> ExportedProgram:
    return torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch")},))


def slow_unless(quick: tuple[str, ...], names: Iterable[str]) -> list[Any]:
    """Returns names as parameters; those that are not ``quick`` are marked as slow."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


# -------------------------------------------------------------------------------------------------------- the backbones


def with_the_maps_of_every_role(family: str, as_if_trained: Perturb) -> Backbone:
    torch.manual_seed(0)
    backbone = SMALL[family]()
    names = {name for default_features in backbone.default_features.values() for name in default_features}
    backbone.select([name for name in backbone.features if name in names])
    as_if_trained(backbone)
    return backbone


def test_every_family_is_deployed_below() -> None:
    assert {type(make()) for make in SMALL.values()} == set(FAMILIES)


@pytest.mark.parametrize("mode", slow_unless(("train",), ("train", "eval")))
@pytest.mark.parametrize("family", SMALL)
def test_family_compiles_to_one_equal_graph(family: str, mode: str, as_if_trained: Perturb) -> None:
    """Maps, gradients and running statistics of the compiled network are the same."""
    backbone = with_the_maps_of_every_role(family, as_if_trained).train(mode == "train")
    twin = copy.deepcopy(backbone)
    torch.compiler.reset()
    # without symbolic sizes, which are many times slower
    compiled = torch.compile(backbone, backend="eager", fullgraph=True, dynamic=False)
    torch.manual_seed(0)  # of dropout
    found = compiled(images_of(EXAMPLE, ODD))
    torch.manual_seed(0)
    expected = twin(images_of(EXAMPLE, ODD))
    assert list(found) == list(expected)
    for name, x in expected.items():
        assert torch.equal(found[name], x), name
    for network, maps in ((backbone, found), (twin, expected)):
        torch.stack([x.square().mean() for x in maps.values()]).sum().backward()
        assert all(p.grad is not None for p in network.parameters())
    for (name, ours), theirs in zip(backbone.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, msg=lambda said, name=name: f"{name}: {said}")
    for name, tensor in twin.state_dict().items():  # including running statistics
        assert torch.equal(backbone.state_dict()[name], tensor), name


@pytest.fixture(scope="module")
def exported(request: pytest.FixtureRequest, as_if_trained: Perturb) -> tuple[Backbone, ExportedProgram]:
    """A family, and its export with an example of two images of odd size."""
    backbone = with_the_maps_of_every_role(request.param, as_if_trained).eval()
    return backbone, export(backbone, images_of(EXAMPLE, ODD))


@pytest.mark.parametrize("exported", SMALL, indirect=True)
def test_exported_family_takes_any_batch_size(exported: tuple[Backbone, ExportedProgram], deviation: Deviation) -> None:
    backbone, program = exported
    run = program.module()
    for count in OTHERS:
        images = images_of(count, ODD)
        with torch.no_grad():
            found, expected = run(images), backbone(images)
        assert list(found) == list(expected)
        assert max(deviation(found[name], x) for name, x in expected.items()) <= TOLERANCE


# ----------------------------------------------------------------------------------------------------------- with heads


class Whole(NamedTuple):
    """A network with its head, its role, and the size and type of its images."""

    backbone: Callable[[], Backbone]
    head: HeadFactory
    role: str
    size: tuple[int, int] = (64, 64)
    dtype: torch.dtype = torch.float32


WHOLE = {
    "SSDLite on MobileNetV1": Whole(SMALL["MobileNetV1"], SSDLite, "detection"),
    "SSDLite on EffNet, focal": Whole(
        SMALL["EffNet"], partial(SSDLite, loss="focal", layout="tensorflow"), "detection", (65, 97)
    ),
    "MobileViT's SSDLite": Whole(SMALL["MobileViT"], MobileViTSSDLite, "detection"),
    "LRASPP on ShuffleNetV2": Whole(SMALL["ShuffleNetV2"], LRASPP, "segmentation", (65, 97)),
    "LRASPP on EffNet, of bytes": Whole(SMALL["EffNet"], LRASPP, "segmentation", dtype=torch.uint8),
    "Classifier on EffNet, of 4×4 cells": Whole(
        partial(EffNet, 0.25), partial(Classifier, pool_size=4), "classification", (33, 47)
    ),
    "Classifier on MobileNetV3, with a hidden layer": Whole(
        SMALL["MobileNetV3"], partial(Classifier, hidden_dim=24), "classification", dtype=torch.uint8
    ),
}


def network_of(made: Whole, as_if_trained: Perturb) -> Network:
    torch.manual_seed(0)
    network = Network(made.backbone(), made.head, ["a", "b", "c"], Preprocessing(made.size), role=made.role)
    as_if_trained(network)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("made", WHOLE.values(), ids=WHOLE)
def test_network_compiles_to_one_equal_graph(made: Whole, mode: str, as_if_trained: Perturb) -> None:
    network = network_of(made, as_if_trained).train(mode == "train")
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    twin = copy.deepcopy(network)
    torch.compiler.reset()
    compiled = torch.compile(network, backend="eager", fullgraph=True, dynamic=False)
    images = images_of(EXAMPLE, made.size, made.dtype)
    found, expected = compiled(images), twin(images)
    assert type(found) is type(expected)
    for ours, theirs in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert torch.equal(ours, theirs)


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest, as_if_trained: Perturb) -> tuple[Whole, Network, ExportedProgram]:
    """A network with its head, and its export with an example of two images."""
    made = WHOLE[request.param]
    network = network_of(made, as_if_trained).eval()
    return made, network, export(network, images_of(EXAMPLE, made.size, made.dtype))


@pytest.mark.parametrize("whole", WHOLE, indirect=True)
def test_exported_network_takes_any_batch_size(
    whole: tuple[Whole, Network, ExportedProgram], deviation: Deviation
) -> None:
    made, network, program = whole
    run = program.module()
    for count in OTHERS:
        images = images_of(count, made.size, made.dtype)
        with torch.no_grad():
            found, expected = run(images), network(images)
        assert type(found) is type(expected)
        for ours, theirs in zip(tree_leaves(found), tree_leaves(expected), strict=True):
            assert deviation(ours, theirs) <= TOLERANCE
