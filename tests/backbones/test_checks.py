"""check_backbone passes valid backbones, ours included, and names what is wrong with invalid ones."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import litmobile.backbones
from litmobile.backbones import (
    Backbone,
    EffNet,
    Feature,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    MobileViT,
    ShuffleNetV1,
    ShuffleNetV2,
    TimmBackbone,
    check_backbone,
)
from support.families import format_id

# ------------------------------------------------------------------------------------------------------ valid backbones

DILATED = {"output_stride": 8, "in_channels": 1}
SAME = {"padding": "same"}
PLAIN: tuple[tuple[type[Backbone], dict[str, Any]], ...] = (
    (MobileNetV1, {"width": 0.25}),
    (MobileNetV2, {"width": 0.35}),
    (MobileNetV3, {"width": 0.35}),
    (ShuffleNetV1, {"width": 0.25}),
    (ShuffleNetV2, {"width": 0.5}),
    (EffNet, {"width": 0.25, "extended": True}),
    (MobileViT, {"variant": "xxs"}),
    (TimmBackbone, {"name": "mobilenetv3_small_050"}),
)
OTHERS: tuple[tuple[type[Backbone], dict[str, Any]], ...] = (
    (MobileNetV1, {"width": 0.25} | DILATED | SAME),
    (MobileNetV2, {"width": 0.35} | DILATED | SAME),
    (MobileNetV3, {"variant": "small", "tail": "detection", "minimalistic": True}),
    (MobileNetV3, {"variant": "small", "tail": "segmentation"} | DILATED | SAME),
    (ShuffleNetV1, {"groups": 8, "width": 0.25, "stem": 8} | DILATED),
    (ShuffleNetV2, {"width": 0.5} | DILATED),
    (EffNet, {"width": 0.25}),
    (EffNet, {"width": 0.25, "extended": True, "closing_kernel": "1x2"} | DILATED),
    (MobileViT, {"variant": "xxs"} | DILATED),
    (TimmBackbone, {"name": "resnet18", "output_stride": 16, "in_channels": 2}),
    (TimmBackbone, {"name": "mobilenetv4_conv_small"}),
)
SHIPPED = [found for _, found in inspect.getmembers(litmobile.backbones) if found is not Backbone]


def test_every_exported_backbone_is_checked_below() -> None:
    families = {cls for cls in SHIPPED if isinstance(cls, type) and issubclass(cls, Backbone)}
    assert {family for family, _ in PLAIN} == families


@pytest.mark.parametrize(
    ("family", "arguments"),
    [*PLAIN, *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)],
    ids=format_id,
)
def test_every_family_keeps_the_contract(family: type[Backbone], arguments: dict[str, Any]) -> None:
    check_backbone(lambda: family(**arguments))


@pytest.mark.slow
def test_network_that_rounds_down_passes_on_even_sizes() -> None:
    check_backbone(lambda: TimmBackbone("convnext_atto"), sizes=[(32, 32), (64, 96)])
    with pytest.raises(
        AssertionError, match=r"promises c2 with 40 channels at stride 4, but for images \[2, 3, 33, 47\]"
    ):
        check_backbone(lambda: TimmBackbone("convnext_atto"))


class Valid(Backbone):
    """A valid backbone: two strided convolutions, a map after each."""

    def __init__(self, channels: int = 4, in_channels: int = 3) -> None:
        super().__init__()
        self.c1 = nn.Sequential(nn.Conv2d(in_channels, channels, 3, 2, 1), nn.BatchNorm2d(channels))
        self.c2 = nn.Sequential(nn.Conv2d(channels, 8, 3, 2, 1), nn.BatchNorm2d(8))
        self.features = {"c1": Feature(channels, 2), "c2": Feature(8, 4)}
        self.default_features = {"detection": ("c1", "c2")}
        self.selected: tuple[str, ...] = ("c1", "c2")

    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)
        self.selected = tuple(names)
        if "c2" not in names and "c2" in self.features:
            del self.c2, self.features["c2"]
            self.default_features = {}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = {"c1": self.c1(images)}
        if "c2" in self.features:
            maps["c2"] = self.c2(maps["c1"])
        return {name: maps[name] for name in self.selected}


@pytest.mark.parametrize("arguments", [{}, {"channels": 5, "in_channels": 1}], ids=str)
def test_users_backbone_keeps_the_contract(arguments: dict[str, int]) -> None:
    check_backbone(lambda: Valid(**arguments))


# ---------------------------------------------------------------------------------------------------- invalid backbones


class WrongChannels(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.features["c2"] = Feature(9, 4)


class WrongStride(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.features["c2"] = Feature(8, 8)


class RoundsDown(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.c1[0] = nn.Conv2d(3, 4, 2, 2)


class NoFeatures(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.features = {}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {}


class UnknownMap(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images) | {"extra": images}


class CoarsestFirst(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.features = dict(reversed(self.features.items()))
        self.selected = ("c2", "c1")


class RefusesSmallImages(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images[..., :32].unflatten(3, (32,)).squeeze(4)[..., : images.shape[3] // 40 * 40])


class DefaultsToMissingMap(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.default_features["segmentation"] = ("c3",)


class DefaultsToCoarsestFirst(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.default_features["segmentation"] = ("c2", "c1")


class KeepsUnusedLayers(Valid):
    def select(self, names: Sequence[str]) -> None:
        self.check_feature_names(names)
        self.selected = tuple(names)


class HasUnusedParameter(Valid):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))


class KeepsRolesWithoutMaps(Valid):
    def select(self, names: Sequence[str]) -> None:
        default_features = self.default_features
        super().select(names)
        self.default_features = default_features


class GivesFinestFirst(Valid):
    def select(self, names: Sequence[str]) -> None:
        super().select(sorted(names) if isinstance(names, list | tuple) else names)


class ReinitialisesWeights(Valid):
    def select(self, names: Sequence[str]) -> None:
        super().select(names)
        nn.init.normal_(self.c1[0].weight)


class AcceptsAnyName(Valid):
    def check_feature_names(self, names: Sequence[str]) -> None:
        """Check nothing."""


class RaisesKeyError(Valid):
    def check_feature_names(self, names: Sequence[str]) -> None:
        for name in names:
            self.features[name]


class ForgetsArguments(Valid):
    def __init__(self, channels: int = 4) -> None:
        super().__init__(channels)
        self.init_args = {}


class TakesAClass(Valid):
    def __init__(self, kind: type = nn.ReLU) -> None:
        super().__init__()


class SharesALayer(Valid):
    layers = nn.Conv2d(3, 4, 3, 2, 1)

    def __init__(self) -> None:
        super().__init__()
        self.c1[0] = self.layers


class AppliesDropout(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(nn.functional.dropout(images))


class SubtractsBatchMean(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images - images.mean((0, 2, 3), keepdim=True))


class CountsInEvaluation(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        self.c1[1].num_batches_tracked.add_(1)
        return super().forward(images)


class ReadsMemoryOrder(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images.as_strided(images.shape, torch.empty(images.shape).stride()))


class BranchesOnValues(Valid):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return super().forward(images if images.sum() > 0 else images * 2)


class DropsBiases(Valid):
    def translate(self, state: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        return {k: v for k, v in state.items() if "bias" not in k}, []


class NamesUnknownArgument(Valid):
    shape_arguments = ("widht",)


INVALID: dict[Callable[[], Backbone], str] = {
    WrongChannels: "c2 with 9 channels at stride 4, but for images [2, 3, 32, 32] it gives [2, 8, 8, 8]",
    WrongStride: "c2 with 8 channels at stride 8",
    RoundsDown: "for images [2, 3, 33, 47] it gives [2, 4, 16, 23], not [2, 4, 17, 24]",
    NoFeatures: "forward gives none",
    UnknownMap: "the maps c1, c2 in its features, but forward gives c1, c2, extra",
    CoarsestFirst: "finest first, but their strides are 4, 2",
    RefusesSmallImages: "to take images [2, 3, 32, 32], but it raised",
    DefaultsToMissingMap: "finest first, but its default_features are c3",
    DefaultsToCoarsestFirst: "finest first, but its default_features are c2, c1",
    KeepsUnusedLayers: "that every parameter is used, but c2.0.weight has no gradient",
    HasUnusedParameter: "that every parameter is used, but scale has no gradient",
    KeepsRolesWithoutMaps: "only roles whose maps are left, but it still has detection",
    GivesFinestFirst: "after select(['c2', 'c1']) these maps in this order, but it gives c1, c2",
    ReinitialisesWeights: "the same c1 after select(['c1']), but its values differ",
    AcceptsAnyName: "a ValueError if",
    RaisesKeyError: "an unknown map is selected, but it raised KeyError",
    lambda: ForgetsArguments(5): "from its config with the same features, but c1 was",
    lambda: TakesAClass(nn.ReLU): "rebuilt from its config of plain values",
    SharesALayer: "to share no tensor with a second network, but both have the same c1.0.weight",
    AppliesDropout: "its values differ",
    SubtractsBatchMean: "for an image alone, but its values differ",
    CountsInEvaluation: "no change of its state in evaluation mode, but c1.1.num_batches_tracked changed",
    ReadsMemoryOrder: "for an image in channels-last memory, but its values differ",
    BranchesOnValues: "that torch.export takes it, but it raised",
    DropsBiases: "to load its own state_dict, but c1.0.bias was not found there",
    NamesUnknownArgument: "shape_arguments that its constructor has, but widht is not one of them",
}


@pytest.mark.parametrize(("make", "expected"), INVALID.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_check_reports_a_broken_promise_in_one_sentence(make: Callable[[], Backbone], expected: str) -> None:
    with pytest.raises(AssertionError) as caught:
        check_backbone(make)
    text = str(caught.value)
    assert expected in text, text
    assert " promises " in text and text.endswith(".") and "\n" not in text


def test_every_invalid_backbone_is_tested() -> None:
    ways = {cls for cls in Valid.__subclasses__() if cls.__module__ == Valid.__module__}
    tried = {type(make()) for make in INVALID}
    assert ways == tried, [cls.__name__ for cls in itertools.chain(ways - tried, tried - ways)]
