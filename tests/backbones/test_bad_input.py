"""Invalid arguments, images, maps and weights are refused in one sentence that says what is valid."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from litmobile.backbones import (
    EffNet,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    MobileViT,
    ShuffleNetV1,
    ShuffleNetV2,
    load_weights,
)
from litmobile.backbones.blocks import ACTIVATIONS, StrideTracker
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.errors import WeightsError
from support.families import FAMILIES, build_on_meta, format_id
from support.twins import clone_state, write_zip

EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES, ids=format_id)


def families_with(argument: str) -> pytest.MarkDecorator:
    """Runs a test for every family whose constructor has ``argument``."""
    having = [family for family in FAMILIES if argument in family.defaults()]
    return pytest.mark.parametrize("family", having, ids=format_id)


# ------------------------------------------------------------------------------------------------------------ arguments

CHOICES: tuple[tuple[type[SequentialBackbone], str, tuple[Any, ...], tuple[Any, ...]], ...] = (
    (MobileNetV3, "variant", ("medium", "Large", ""), ("large", "small")),
    (MobileNetV2, "tail", ("reduced", "Full", ""), ("full", "detection", "segmentation")),
    (MobileNetV3, "tail", ("reduced", "Full", ""), ("full", "detection", "segmentation")),
    (MobileViT, "variant", ("m", "XS", ""), ("xxs", "xs", "s")),
    (ShuffleNetV1, "groups", (0, 5, 16, -1), (1, 2, 3, 4, 8)),
    (ShuffleNetV2, "width", (0.25, 0.75, 3.0), (0.5, 1.0, 1.5, 2.0)),
    (EffNet, "closing_kernel", ("2x2", "1×2", ""), ("1x2", "2x1")),
)


@pytest.mark.parametrize(
    ("family", "argument", "value", "offer"),
    [(family, name, value, offer) for family, name, values, offer in CHOICES for value in values],
    ids=format_id,
)
def test_unknown_variant_is_refused_with_known_ones(
    family: type[SequentialBackbone], argument: str, value: object, offer: tuple[object, ...], assert_one_sentence
) -> None:
    with pytest.raises(ValueError, match=argument) as caught:
        build_on_meta(family, **{argument: value})
    assert_one_sentence(caught.value, repr(value), offer)


@pytest.mark.parametrize("width", [0, -1, -0.5, float("nan"), float("inf")])
@families_with("width")
def test_non_positive_width_is_refused(family: type[SequentialBackbone], width: float, assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="width") as caught:
        build_on_meta(family, width=width)
    assert_one_sentence(caught.value, "greater than 0", width)


@pytest.mark.parametrize("in_channels", [0, -3])
@EVERY_FAMILY
def test_images_without_channels_are_refused(
    family: type[SequentialBackbone], in_channels: int, assert_one_sentence
) -> None:
    with pytest.raises(ValueError, match="in_channels") as caught:
        build_on_meta(family, in_channels=in_channels)
    assert_one_sentence(caught.value, "at least 1", in_channels)


@pytest.mark.parametrize("dropout", [-0.1, 1.0])
@families_with("dropout")
def test_impossible_dropout_is_refused(family: type[SequentialBackbone], dropout: float, assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="dropout") as caught:
        build_on_meta(family, dropout=dropout)
    assert_one_sentence(caught.value, dropout)


@pytest.mark.parametrize("output_stride", [0, 1, 4, 12, 64, -8])
@EVERY_FAMILY
def test_invalid_output_stride_is_refused_with_valid_ones(
    family: type[SequentialBackbone], output_stride: int, assert_one_sentence
) -> None:
    with pytest.raises(ValueError, match="output_stride") as caught:
        build_on_meta(family, output_stride=output_stride)
    assert_one_sentence(caught.value, "8, 16 or 32", output_stride)
    with pytest.raises(ValueError, match="output_stride"):
        StrideTracker(output_stride)


@EVERY_FAMILY
def test_unknown_activation_is_refused_with_known_ones(family: type[SequentialBackbone], assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="activation") as caught:
        build_on_meta(family, activation="gelu")
    assert_one_sentence(caught.value, "'gelu'", list(ACTIVATIONS))


@pytest.mark.parametrize("padding", ["valid", "SAME", ""])
@families_with("padding")
def test_unknown_padding_is_refused_with_known_ones(
    family: type[SequentialBackbone], padding: str, assert_one_sentence
) -> None:
    with pytest.raises(ValueError, match="padding") as caught:
        build_on_meta(family, padding=padding)
    assert_one_sentence(caught.value, repr(padding), "symmetric", "same")


@EVERY_FAMILY
def test_misspelt_argument_is_refused_with_all_arguments(family: type[SequentialBackbone], assert_one_sentence) -> None:
    with pytest.raises(TypeError, match="widht") as caught:
        family(widht=1.0)  # type: ignore[call-arg]
    assert_one_sentence(caught.value, family.__name__, list(family.defaults()))


@pytest.mark.parametrize(
    ("family", "argument"),
    [(ShuffleNetV1, "padding"), (ShuffleNetV2, "padding"), (EffNet, "padding"), (MobileViT, "width")],
    ids=format_id,
)
def test_other_familys_argument_is_refused_with_own_ones(
    family: type[SequentialBackbone], argument: str, assert_one_sentence
) -> None:
    with pytest.raises(TypeError, match=argument) as caught:
        family(**{argument: 1.0})
    assert_one_sentence(caught.value, family.__name__, list(family.defaults()))


@EVERY_FAMILY
def test_too_many_arguments_are_refused_with_their_names(family: type[SequentialBackbone], assert_one_sentence) -> None:
    with pytest.raises(TypeError, match="too many") as caught:
        family(*[1] * 20)
    assert_one_sentence(caught.value, family.__name__, list(family.defaults()))


# --------------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(("taken", "given"), [(3, 1), (3, 4), (1, 3), (4, 3)])
@EVERY_FAMILY
def test_wrong_image_channels_are_refused_with_argument(
    family: type[SequentialBackbone], taken: int, given: int, assert_one_sentence
) -> None:
    backbone = build_on_meta(family, in_channels=taken)
    with pytest.raises(ValueError, match="in_channels") as caught:
        backbone(torch.zeros(1, given, 32, 32, device="meta"))
    assert_one_sentence(caught.value, family.__name__, f"images of {taken} channels, not of {given}")


@pytest.mark.parametrize("shape", [(3, 32, 32), (32, 32), (2, 1, 3, 32, 32)], ids=str)
@EVERY_FAMILY
def test_tensor_of_wrong_rank_is_refused_with_its_shape(
    family: type[SequentialBackbone], shape: tuple[int, ...], assert_one_sentence
) -> None:
    with pytest.raises(ValueError, match="batch of images") as caught:
        build_on_meta(family)(torch.zeros(shape, device="meta"))
    assert_one_sentence(caught.value, family.__name__, "[N, 3, H, W]", list(shape))


# ------------------------------------------------------------------------------------------------------- maps and roles


@EVERY_FAMILY
def test_unknown_map_is_refused_and_nothing_is_removed(family: type[SequentialBackbone], assert_one_sentence) -> None:
    """The message names the available maps."""
    backbone = build_on_meta(family)
    before = dict(backbone.features)
    with pytest.raises(ValueError, match="no map") as caught:
        backbone.select(["c3", "c6"])
    assert_one_sentence(caught.value, family.__name__, "'c6'", list(before))
    assert backbone.features == before


@EVERY_FAMILY
def test_unknown_role_is_refused_with_available_maps(family: type[SequentialBackbone], assert_one_sentence) -> None:
    backbone = build_on_meta(family)
    with pytest.raises(ValueError, match="no maps for depth") as caught:
        backbone.feature_names("depth")
    offer = [f"{name} (stride {feature.stride})" for name, feature in backbone.features.items()]
    assert_one_sentence(caught.value, family.__name__, offer, "feature_maps=[…]")


@pytest.mark.parametrize("names", [[], "c1"], ids=["none", "a bare name"])
@EVERY_FAMILY
def test_invalid_map_list_is_refused_with_available_maps(
    family: type[SequentialBackbone], names: Any, assert_one_sentence
) -> None:
    backbone = build_on_meta(family)
    with pytest.raises(ValueError, match="needs a list of maps") as caught:
        backbone.select(names)
    assert_one_sentence(caught.value, family.__name__, list(backbone.features))


# -------------------------------------------------------------------------------------------------------------- weights

Arguments = Mapping[str, Any]
MISFITS: tuple[tuple[type[SequentialBackbone], Arguments, Arguments], ...] = (
    (MobileNetV1, {"width": 0.25}, {"width": 0.5}),
    (MobileNetV1, {"width": 0.25, "in_channels": 1}, {"width": 0.25}),
    (MobileNetV2, {"width": 0.5}, {"width": 0.35}),
    (MobileNetV2, {"width": 0.35, "in_channels": 1}, {"width": 0.35}),
    (MobileNetV3, {"variant": "small"}, {"variant": "small", "width": 0.75}),
    (MobileNetV3, {"variant": "small", "tail": "detection"}, {"variant": "small"}),
    (MobileNetV3, {"variant": "small", "minimalistic": True}, {"variant": "small"}),
    (MobileNetV3, {"variant": "large"}, {"variant": "small"}),
    (ShuffleNetV1, {"width": 0.25}, {"width": 0.5}),
    (ShuffleNetV1, {"width": 0.25}, {"width": 0.25, "groups": 2}),
    (ShuffleNetV1, {"width": 0.25}, {"width": 0.25, "stem": 9}),
    (ShuffleNetV1, {"width": 0.25, "in_channels": 4}, {"width": 0.25}),
    (ShuffleNetV2, {"width": 0.5}, {"width": 1.0}),
    (ShuffleNetV2, {"width": 0.5, "in_channels": 1}, {"width": 0.5}),
    (EffNet, {"width": 0.5}, {}),
    (EffNet, {"closing_kernel": "1x2"}, {}),
    (EffNet, {"in_channels": 1}, {}),
    (MobileViT, {"variant": "xxs"}, {"variant": "xs"}),
    (MobileViT, {"variant": "xxs", "in_channels": 1}, {"variant": "xxs"}),
)


@pytest.mark.parametrize(("family", "built", "trained"), MISFITS, ids=format_id)
def test_other_shapes_are_refused_with_the_arguments(
    family: type[SequentialBackbone], built: Arguments, trained: Arguments, tmp_path: Path, assert_one_sentence
) -> None:
    """The message names the tensor, both shapes and the arguments that differ."""
    backbone = family(**built)
    own, there = clone_state(backbone), zeros_shaped_like(build_on_meta(family, **trained))
    path = write_zip(there, tmp_path / "other.pth")
    tensor = next(name for name in own if name in there and own[name].shape != there[name].shape)
    with pytest.raises(WeightsError, match="does not fit") as caught:
        load_weights(backbone, path)
    differing = [name for name in {*built, *trained} if built.get(name) != trained.get(name)]
    advice = str(caught.value).rpartition("; ")[2]
    assert all(name in advice for name in differing)
    shapes = [str(list(state[tensor].shape)) for state in (own, there)]
    assert_one_sentence(caught.value, str(path), family.__name__, tensor, shapes)
    for name, before in own.items():  # a refused load changes no tensor
        assert torch.equal(backbone.state_dict()[name], before), name


def zeros_shaped_like(backbone: nn.Module) -> dict[str, Tensor]:
    """Returns zeros in the shapes of the network's tensors, which may be on the meta device."""
    return {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in backbone.state_dict().items()}


@pytest.mark.parametrize("source", ["imagenett", "weights.bin", "MobileNet_V4_Weights.IMAGENET1K_V1", "resnet18"])
@EVERY_FAMILY
def test_unpublished_name_is_refused_with_published_ones(
    family: type[SequentialBackbone], source: str, assert_one_sentence
) -> None:
    with pytest.raises(WeightsError, match=re.escape(repr(source))) as caught:
        load_weights(build_on_meta(family), source)
    # assert_one_sentence accepts the dots in published names
    assert_one_sentence(caught.value, family.__name__, list(family.published) or "published are none")
