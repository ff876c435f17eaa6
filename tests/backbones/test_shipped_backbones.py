"""Every exported backbone can be rebuilt from its config, copied and pickled."""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import pickle
import types
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import litmobile.backbones
from litmobile.backbones import (
    Backbone,
    EffNet,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    MobileViT,
    ShuffleNetV1,
    ShuffleNetV2,
    TimmBackbone,
)
from litmobile.backbones.contract import from_config
from litmobile.tools.profile.counts import without_values

# ---------------------------------------------------------------------------------------------- every exported backbone

SHIPPED = [
    cls
    for _, cls in inspect.getmembers(litmobile.backbones)
    if isinstance(cls, type) and issubclass(cls, Backbone) and not inspect.isabstract(cls)
]
REQUIRED: dict[type[Backbone], dict[str, Any]] = {TimmBackbone: {"name": "mobilenetv4_conv_small"}}

# a value other than the default for every argument whose type does not list its values
OTHER_VALUES: dict[str, Any] = {
    "width": 0.5,
    "output_stride": 16,
    "in_channels": 4,
    "norm_eps": 1e-4,
    "norm_momentum": 0.03,
    "dropout": 0.2,
    "name": "resnet18",
    "stem": 30,
    "image_size": [64, 96],
}
# arguments that another argument requires
REQUIRED_WITH: dict[str, dict[str, Any]] = {"image_size": {"name": "swin_tiny_patch4_window7_224"}}
UNTESTED = "an argument that this test knows no value for: add one to OTHER_VALUES"
# all arguments at once, for the backbones that accept any combination
ALL_OTHER_VALUES: list[tuple[type[Backbone], dict[str, Any]]] = [
    (
        MobileNetV1,
        {
            "width": 0.25,
            "output_stride": 8,
            "in_channels": 1,
            "activation": "relu6",
            "padding": "same",
            "norm_eps": 1e-3,
            "norm_momentum": 0.03,
        },
    ),
    (
        MobileNetV2,
        {
            "width": 0.35,
            "tail": "segmentation",
            "output_stride": 16,
            "in_channels": 1,
            "activation": "silu",
            "padding": "same",
            "norm_eps": 1e-4,
            "norm_momentum": 0.03,
        },
    ),
    (
        MobileNetV3,
        {
            "variant": "small",
            "width": 0.75,
            "tail": "segmentation",
            "minimalistic": True,
            "output_stride": 8,
            "in_channels": 2,
            "activation": "leaky_relu",
            "padding": "same",
            "norm_eps": 1e-4,
            "norm_momentum": 0.03,
        },
    ),
    (
        ShuffleNetV1,
        {
            "groups": 4,
            "width": 0.25,
            "stem": 8,
            "output_stride": 8,
            "in_channels": 2,
            "activation": "hardswish",
            "norm_eps": 1e-4,
            "norm_momentum": 0.03,
        },
    ),
    (
        ShuffleNetV2,
        {
            "width": 0.5,
            "output_stride": 16,
            "in_channels": 2,
            "activation": "silu",
            "norm_eps": 1e-4,
            "norm_momentum": 0.03,
        },
    ),
    (
        EffNet,
        {
            "width": 0.25,
            "extended": True,
            "closing_kernel": "1x2",
            "output_stride": 8,
            "in_channels": 1,
            "activation": "relu",
            "norm_eps": 1e-4,
            "norm_momentum": 0.1,
        },
    ),
    (
        MobileViT,
        {
            "variant": "xxs",
            "output_stride": 16,
            "in_channels": 1,
            "activation": "relu",
            "norm_eps": 1e-4,
            "norm_momentum": 0.03,
            "dropout": 0.0,
        },
    ),
    (TimmBackbone, {"name": "resnet18", "output_stride": 16, "in_channels": 2}),
]


def options(annotation: object) -> list[object]:
    """Returns the values that an annotation lists: of literals, booleans and unions of them."""
    if annotation is bool:
        return [False, True]
    if typing.get_origin(annotation) is typing.Literal:
        return list(typing.get_args(annotation))
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [value for member in typing.get_args(annotation) for value in options(member)]
    return []


def one_argument_otherwise() -> list[Any]:
    """Returns every exported backbone with its defaults, and with each argument at every other value."""
    cases = []
    for cls in SHIPPED:
        required = REQUIRED.get(cls, {})
        cases.append(pytest.param(cls, required, id=f"{cls.__name__}-default"))
        hints = typing.get_type_hints(cls.__init__)
        for name, parameter in list(inspect.signature(cls.__init__).parameters.items())[1:]:
            values = [v for v in options(hints[name]) if v != parameter.default] or [OTHER_VALUES.get(name, UNTESTED)]
            given = required | REQUIRED_WITH.get(name, {})
            cases += [pytest.param(cls, given | {name: v}, id=f"{cls.__name__}-{name}={v}") for v in values]
    return cases


EVERY_CASE = [
    *one_argument_otherwise(),
    *(pytest.param(cls, arguments, id=f"{cls.__name__}-all") for cls, arguments in ALL_OTHER_VALUES),
]


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize(("cls", "arguments"), EVERY_CASE)
def test_backbone_is_rebuilt_from_its_config(cls: type[Backbone], arguments: dict[str, Any], tmp_path: Path) -> None:
    assert UNTESTED not in arguments.values()
    with without_values():
        backbone = cls(**arguments)
        config = backbone.config()
        assert config["init_args"] == arguments
        torch.save(config, tmp_path / "spec.pt")  # as a checkpoint stores it
        stored = torch.load(tmp_path / "spec.pt", weights_only=True)
        assert stored == json.loads(json.dumps(config)) == config
        again = from_config(stored, Backbone)
    assert type(again) is cls
    assert again.config() == config
    assert again.features == backbone.features
    assert again.default_features == backbone.default_features
    assert again.width == backbone.width
    assert shapes(again) == shapes(backbone)
    assert repr(again) == repr(backbone)  # strides, padding, activations, epsilon and momentum


@pytest.mark.parametrize("cls", [cls for cls in SHIPPED if cls not in REQUIRED])  # timm networks differ
def test_all_arguments_are_tested_together(cls: type[Backbone]) -> None:
    tried, defaults = dict(ALL_OTHER_VALUES)[cls], cls.defaults()
    assert set(tried) == set(defaults)
    assert [name for name, value in tried.items() if value == defaults[name]] == []


@pytest.mark.parametrize(("cls", "arguments"), ALL_OTHER_VALUES)
def test_rebuilt_backbone_gives_the_same_maps(cls: type[Backbone], arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    backbone = cls(**arguments).eval()
    again = from_config(backbone.config(), Backbone).eval()
    again.load_state_dict(backbone.state_dict())
    images = torch.randn(1, arguments.get("in_channels", 3), 33, 47)
    with torch.no_grad():
        expected, found = backbone(images), again(images)
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("selected", [False, True], ids=["whole", "selected"])
@pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize(("cls", "arguments"), ALL_OTHER_VALUES)
def test_copies_keep_arguments_weights_and_selection(
    cls: type[Backbone], arguments: dict[str, Any], duplicate: Any, selected: bool
) -> None:
    torch.manual_seed(0)
    original = cls(**arguments).eval()
    if selected:
        original.select([next(iter(original.features))])
        original.eval()
    twin = duplicate(original)
    assert type(twin) is cls
    assert twin.config() == original.config()
    assert twin.arguments == original.arguments
    assert twin.features == original.features
    assert twin.default_features == original.default_features
    assert not twin.training
    images = torch.randn(1, arguments.get("in_channels", 3), 32, 32)
    with torch.no_grad():
        expected, found = original(images), twin(images)
        assert list(found) == list(expected)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        for parameter in twin.parameters():  # nothing is shared
            parameter.zero_()
        assert all(torch.equal(x, expected[name]) for name, x in original(images).items())


@pytest.mark.parametrize("cls", SHIPPED)
def test_config_path_can_be_imported(cls: type[Backbone]) -> None:
    with without_values():
        path = cls(**REQUIRED.get(cls, {})).config()["class_path"]
    module, _, name = path.rpartition(".")
    assert path.startswith("litmobile.")
    assert getattr(importlib.import_module(module), name) is cls
