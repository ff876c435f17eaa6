"""Features specific to MobileNetV2 and MobileNetV3: any width, tails, minimalistic networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from litmobile.backbones import Backbone, MobileNetV2, MobileNetV3
from litmobile.backbones.blocks import ACTIVATIONS, build_activation, round_channels
from litmobile.tools.profile.counts import without_values
from support.families import build_on_meta, count_parameters, format_id

CONFIGURATIONS: tuple[tuple[type[Backbone], dict[str, Any]], ...] = (
    (MobileNetV2, {}),
    *(
        (MobileNetV3, {"variant": variant, "tail": tail, "minimalistic": minimalistic})
        for variant in ("large", "small")
        for tail in ("full", "detection", "segmentation")
        for minimalistic in (False, True)
    ),
)
MAPS = ("c1", "c2", "c3_first", "c3", "c4", "c4_expansion", "c5", "final")
ACTIVATION_TYPES = tuple(type(build_activation(name)) for name in ACTIVATIONS)

# ------------------------------------------------------------------------------------------------------ sizes and costs


@pytest.mark.parametrize("width", [0.3, 0.35, 0.5, 0.75, 1.0, 1.1, 1.4, 2.0])
def test_mobilenet_v2_parameters_equal_torchvisions(width: float) -> None:
    with without_values():
        reference = torchvision.models.mobilenet_v2(width_mult=width)
    assert count_parameters(build_on_meta(MobileNetV2, width=width)) == count_parameters(reference.features)


CHANNELS = (
    (MobileNetV2, {}, (16, 24, 32, 32, 96, 576, 320, 1280)),
    (MobileNetV3, {"variant": "large"}, (16, 24, 40, 40, 112, 672, 160, 960)),
    (MobileNetV3, {"variant": "small"}, (16, 16, 24, 24, 48, 288, 96, 576)),
    (MobileNetV3, {"variant": "large", "tail": "detection"}, (16, 24, 40, 40, 112, 672, 80, 480)),
    (MobileNetV3, {"variant": "small", "tail": "detection"}, (16, 16, 24, 24, 48, 288, 48, 288)),
    (MobileNetV3, {"variant": "large", "tail": "segmentation"}, (16, 24, 40, 40, 112, 336, 80, 480)),
    (MobileNetV3, {"variant": "small", "tail": "segmentation"}, (16, 16, 24, 24, 48, 144, 48, 288)),
)


@pytest.mark.parametrize(("family", "arguments", "channels"), CHANNELS, ids=format_id)
def test_every_map_has_the_papers_channels(
    family: type[Backbone], arguments: dict[str, Any], channels: tuple[int, ...]
) -> None:
    backbone = build_on_meta(family, **arguments)
    assert {name: f.channels for name, f in backbone.features.items()} == dict(zip(MAPS, channels, strict=True))


@pytest.mark.parametrize(
    ("variant", "tail", "expansions"),
    [
        ("large", "full", (672, 960, 960)),
        ("large", "detection", (672, 480, 480)),
        ("large", "segmentation", (336, 480, 480)),
        ("small", "full", (288, 576, 576)),
        ("small", "detection", (288, 288, 288)),
        ("small", "segmentation", (144, 288, 288)),
    ],
)
def test_reduced_tails_differ_in_their_first_expansion(variant: str, tail: str, expansions: tuple[int, ...]) -> None:
    backbone = build_on_meta(MobileNetV3, variant=variant, tail=tail)
    depthwise = [m.in_channels for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert tuple(depthwise[-3:]) == expansions


def test_minimalistic_has_3x3_kernels_relu_and_no_gates() -> None:
    for variant in ("large", "small"):
        modules = list(build_on_meta(MobileNetV3, variant=variant, minimalistic=True).modules())
        convolutions = [m for m in modules if isinstance(m, nn.Conv2d)]
        assert {m.kernel_size for m in convolutions} == {(1, 1), (3, 3)}
        assert all(m.bias is None for m in convolutions)  # only the gates have biases
        assert {type(m) for m in modules if isinstance(m, ACTIVATION_TYPES)} == {nn.ReLU}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("family", [MobileNetV2, MobileNetV3], ids=format_id)
def test_the_activation_can_be_chosen(family: type[Backbone], name: str) -> None:
    found = {type(m) for m in build_on_meta(family, activation=name).modules() if isinstance(m, ACTIVATION_TYPES)}
    kept = {nn.ReLU} if family is MobileNetV3 else set()  # V3 keeps the ReLUs of the paper's tables
    assert found == {type(build_activation(name))} | kept


@pytest.mark.parametrize(
    ("family", "eps", "momentum"), [(MobileNetV2, 1e-5, 0.1), (MobileNetV3, 1e-3, 0.01)], ids=format_id
)
def test_norm_options_default_to_the_papers(family: type[Backbone], eps: float, momentum: float) -> None:
    for arguments, expected in (({}, (eps, momentum)), ({"norm_eps": 1e-4, "norm_momentum": 0.03}, (1e-4, 0.03))):
        norms = [m for m in build_on_meta(family, **arguments).modules() if isinstance(m, nn.BatchNorm2d)]
        assert {(m.eps, m.momentum) for m in norms} == {expected}


def test_channels_round_to_multiples_of_eight() -> None:
    """They lose less than a tenth."""
    for channels in [x / 4 for x in range(1, 1600)]:
        rounded = round_channels(channels)
        assert rounded % 8 == 0
        assert rounded >= 0.9 * channels
        assert rounded == 8 or abs(rounded - channels) <= 8
    assert [round_channels(x) for x in (1, 11, 12, 18, 19, 20, 28, 64)] == [8, 16, 16, 24, 24, 24, 32, 64]


# ----------------------------------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize(("width", "padding"), [(0.3, "same"), (1.1, "symmetric")])
@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize(("family", "arguments"), CONFIGURATIONS, ids=format_id)
def test_forward_gives_the_recorded_features_at_every_size(
    family: type[Backbone], arguments: dict[str, Any], output_stride: int, width: float, padding: str
) -> None:
    backbone = family(**arguments, output_stride=output_stride, width=width, padding=padding).eval()
    assert tuple(backbone.features) == MAPS
    nominal = dict(zip(MAPS, (2, 4, 8, 8, 16, 16, 32, 32), strict=True))
    for height, columns in ((32, 32), (65, 97)):
        with torch.inference_mode():
            maps = backbone(torch.zeros(1, 3, height, columns))
        assert tuple(maps) == MAPS
        for name, (channels, stride) in backbone.features.items():
            assert stride == min(nominal[name], output_stride)
            assert maps[name].shape == (1, channels, -(-height // stride), -(-columns // stride)), name


@pytest.mark.parametrize("in_channels", [1, 4])
@pytest.mark.parametrize(("family", "arguments"), CONFIGURATIONS, ids=format_id)
def test_images_may_have_other_than_three_channels(
    family: type[Backbone], arguments: dict[str, Any], in_channels: int
) -> None:
    backbone = family(**arguments, in_channels=in_channels, width=0.35).eval()
    backbone.select(["c1"])
    assert backbone(torch.zeros(1, in_channels, 32, 32))["c1"].shape[1] == backbone.features["c1"].channels


# --------------------------------------------------------------------------------------- default features and selection


@pytest.mark.parametrize(("family", "arguments"), CONFIGURATIONS, ids=format_id)
def test_select_removes_deeper_features(family: type[Backbone], arguments: dict[str, Any]) -> None:
    backbone = build_on_meta(family, **arguments)
    features = dict(backbone.features)
    backbone.select(["c1", "c3"])
    assert backbone.features == {name: features[name] for name in ("c1", "c2", "c3_first", "c3")}
    assert backbone.default_features == {}
    backbone.select(["c2"])  # narrowing further
    assert tuple(backbone.features) == ("c1", "c2")
    with pytest.raises(ValueError, match="c3"):
        backbone.select(["c3"])


@pytest.mark.parametrize(
    ("name", "saves_input"), [("relu", False), ("relu6", False), ("hardswish", True), ("silu", True)]
)
def test_activations_keep_an_input_that_their_gradient_needs(name: Any, saves_input: bool) -> None:
    activation = build_activation(name)
    x = torch.randn(2, 3, 4, 4, requires_grad=True) * 1
    assert (activation(x).data_ptr() != x.data_ptr()) == saves_input
    with torch.no_grad():
        x = torch.randn(2, 3, 4, 4)
        assert activation(x).data_ptr() == x.data_ptr()
