"""Any timm network with feature maps is a backbone like our own."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import pytest
import timm
import torch
from packaging.version import Version
from torch import Tensor, nn

from litmobile.backbones import Feature, TimmBackbone
from litmobile.backbones.checks import check_selection
from litmobile.backbones.timm_backbone import find_trained_parameters
from litmobile.backbones.weights import LoadReport, load_state
from litmobile.errors import WeightsError
from litmobile.tools.profile.counts import without_values

Loaded = dict[str, tuple[TimmBackbone, LoadReport]]

NHWC = "swin_tiny_patch4_window7_224"


class Family(NamedTuple):
    """A timm network: its maps, a valid input size, and the names of its layers after the backbone."""

    maps: dict[str, Feature]
    size: tuple[int, int]
    head: tuple[str, ...]


def pyramid(first: int, *channels: int) -> dict[str, Feature]:
    return {f"c{k}": Feature(c, 2**k) for k, c in enumerate(channels, start=first)}


FAMILIES = {
    "resnet18": Family(pyramid(1, 64, 64, 128, 256, 512), (64, 96), ("fc",)),
    "mobilenetv3_large_100": Family(pyramid(1, 16, 24, 40, 112, 960), (64, 96), ("conv_head", "classifier")),
    "convnext_atto": Family(pyramid(2, 40, 80, 160, 320), (64, 96), ("head",)),
    NHWC: Family(pyramid(2, 96, 192, 384, 768), (224, 224), ("norm", "head")),
    "mobilenetv4_conv_small": Family(
        pyramid(1, 32, 32, 64, 96, 960), (64, 96), ("conv_head", "norm_head", "classifier")
    ),
}
CONVOLUTIONAL = tuple(name for name in FAMILIES if name != NHWC)
EVERY_MAP = [(name, (position,)) for name, family in FAMILIES.items() for position in family.maps]
SELECTIONS = [*EVERY_MAP, *((name, ("c5", "c3")) for name in FAMILIES)]

# timm's MobileNets build every stage whatever out_indices says


def images_for(name: str) -> Tensor:
    return torch.randn(1, 3, *FAMILIES[name].size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def whole_networks(as_if_trained: Callable[[nn.Module], nn.Module]) -> dict[str, nn.Module]:
    """The whole timm network of every family with its classifier and random weights."""
    torch.manual_seed(0)
    return {name: as_if_trained(timm.create_model(name)).eval() for name in FAMILIES}


@pytest.fixture(scope="module")
def loaded(whole_networks: dict[str, nn.Module]) -> Loaded:
    """Every family as a backbone with the weights of its whole network; copy before you change it."""
    backbones = {name: TimmBackbone(name).eval() for name in FAMILIES}
    return {name: (b, load_state(b, whole_networks[name].state_dict(), name)) for name, b in backbones.items()}


class Narrowed(NamedTuple):
    """A backbone after ``select(positions)``."""

    name: str
    positions: tuple[str, ...]
    backbone: TimmBackbone


@pytest.fixture(scope="module", params=SELECTIONS, ids=lambda x: f"{x[0]}-{'+'.join(x[1])}")
def narrowed(request: pytest.FixtureRequest, loaded: Loaded) -> Narrowed:
    name, positions = request.param
    backbone = copy.deepcopy(loaded[name][0])
    backbone.select(positions)
    return Narrowed(name, positions, backbone.eval())


# ----------------------------------------------------------------------------------------------------------------- maps


@pytest.mark.parametrize("name", FAMILIES)
def test_forward_gives_the_recorded_features(name: str, loaded: Loaded) -> None:
    family, backbone = FAMILIES[name], loaded[name][0]
    assert backbone.features == family.maps
    with torch.no_grad():
        maps = backbone(images_for(name))
    assert list(maps) == list(family.maps)
    height, width = family.size
    for position, (channels, stride) in family.maps.items():
        assert maps[position].shape == (1, channels, height // stride, width // stride)


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_output_stride_dilates_and_keeps_map_names(name: str, output_stride: int) -> None:
    backbone = TimmBackbone(name, output_stride=output_stride).eval()
    height, width = FAMILIES[name].size
    with torch.no_grad():
        maps = backbone(images_for(name))
    assert list(backbone.features) == list(FAMILIES[name].maps)
    for position, (channels, stride) in FAMILIES[name].maps.items():
        limited = min(stride, output_stride)
        assert backbone.features[position] == (channels, limited)
        assert maps[position].shape == (1, channels, height // limited, width // limited)


@pytest.mark.parametrize("in_channels", [1, 4])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_images_may_have_other_than_three_channels(name: str, in_channels: int) -> None:
    backbone = TimmBackbone(name, in_channels=in_channels)
    backbone.select(["c2"])
    backbone.eval()
    with torch.no_grad():
        assert backbone(torch.zeros(1, in_channels, 32, 32))["c2"].shape[1] == backbone.features["c2"].channels


@pytest.mark.parametrize("name", FAMILIES)
def test_default_features_follow_strides(name: str, loaded: Loaded) -> None:
    backbone = loaded[name][0]
    assert backbone.feature_names("classification") == ("c5",)
    assert backbone.feature_names("detection") == ("c4", "c5")
    assert backbone.feature_names("segmentation") == ("c3", "c5")
    assert backbone.width == 1.0


def test_other_image_size_is_refused_with_the_argument(assert_one_sentence) -> None:
    with without_values():
        backbone = TimmBackbone(NHWC).eval()
        with pytest.raises(ValueError, match="not for 64×96") as caught:
            backbone(torch.empty(1, 3, 64, 96))
    assert_one_sentence(caught.value, [NHWC, "image_size=[64, 96]", "224×224"])


@pytest.mark.parametrize("role", ["detection", "segmentation"])
def test_network_without_a_pyramid_names_its_maps(role: str, assert_one_sentence) -> None:
    backbone = TimmBackbone("vit_tiny_patch16_224")
    assert backbone.features == {"c4": Feature(192, 16)}
    assert backbone.feature_names("classification") == ("c4",)
    with pytest.raises(ValueError, match=f"no maps for {role}") as caught:
        backbone.feature_names(role)
    assert_one_sentence(caught.value, ["TimmBackbone", "c4 (stride 16)"])


def test_network_without_known_strides_is_refused() -> None:
    with without_values(), pytest.raises(ValueError, match="has no maps at strides 2, 4, 8, 16, 32"):
        TimmBackbone("vit_small_patch14_dinov2")


@pytest.mark.parametrize("name", ["convnext_atto", "vgg11"])
def test_timm_maps_are_named_by_stride(name: str) -> None:
    with without_values():
        features = TimmBackbone(name).features
    strides = {"c1": 2, "c2": 4, "c3": 8, "c4": 16, "c5": 32}
    assert {position: f.stride for position, f in features.items()} == {p: strides.get(p) for p in features}


def test_maps_beyond_timms_default_are_available() -> None:
    with without_values():
        assert timm.create_model("sedarknet21", features_only=True).feature_info.reduction()[-1] == 16
        backbone = TimmBackbone("sedarknet21")
        assert backbone.features["c5"].stride == 32
        assert backbone(torch.zeros(1, 3, 64, 96))["c5"].shape == (1, backbone.features["c5"].channels, 2, 3)


# ----------------------------------------------------------------------------------------------------------- image size


def test_network_takes_images_of_its_image_size() -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone(NHWC, image_size=(64, 96)).eval()
    assert backbone.image_size == (64, 96)
    backbone.select(["c3", "c5"])
    maps = backbone(torch.randn(1, 3, 64, 96))
    assert {name: list(x.shape[2:]) for name, x in maps.items()} == {"c3": [8, 12], "c5": [2, 3]}
    with pytest.raises(ValueError, match=r"built for images of 64×96 pixels, .* image_size=\[224, 224\]"):
        backbone(torch.randn(1, 3, 224, 224))


def test_weights_independent_of_the_size_load(whole_networks: dict[str, nn.Module]) -> None:
    report = load_state(TimmBackbone(NHWC, image_size=(256, 320)), whole_networks[NHWC].state_dict(), NHWC)
    assert report.missing == ()


def test_weights_of_another_size_name_image_size() -> None:
    with without_values():
        published = timm.create_model("vit_tiny_patch16_224").state_dict()
        backbone = TimmBackbone("vit_tiny_patch16_224", image_size=[320, 320])
    with pytest.raises(WeightsError, match=r"pos_embed .* set .*image_size"):
        load_state(backbone, published, "the published weights")


def test_image_size_defaults_to_the_published_one() -> None:
    with without_values():
        assert TimmBackbone("resnet18").image_size == (224, 224)
        assert TimmBackbone("inception_v3").image_size == (299, 299)


def test_image_size_is_refused_by_flexible_networks(assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="leave image_size out") as caught:
        TimmBackbone("resnet18", image_size=(320, 320))
    assert_one_sentence(caught.value, ["resnet18", "image_size"])


def test_image_size_must_be_height_and_width(assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="height, width") as caught:
        TimmBackbone(NHWC, image_size=(3, 224, 224))
    assert_one_sentence(caught.value, ["image_size", "(3, 224, 224)"])


# ------------------------------------------------------------------------------------------------------------ selection


OLD_TIMM = Version(timm.__version__) < Version("1.0.31")


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("hrnet_w18_small", ("c3",)),
        ("hrnet_w18_small", ("c5", "c4")),
        pytest.param("pit_ti_224", ("c5", "c4"), marks=pytest.mark.skipif(OLD_TIMM, reason="states strides 7, 14, 28")),
    ],
)
def test_parameters_unused_by_the_maps_are_frozen(name: str, positions: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    backbone = TimmBackbone(name)
    check_selection(lambda: copy.deepcopy(backbone), positions, torch.randn(1, 3, 224, 224))
    assert all(p.requires_grad for p in backbone.parameters())  # nothing is frozen before select
    backbone.select(positions)
    assert not all(p.requires_grad for p in backbone.parameters())


def test_parameters_of_selected_maps_are_not_frozen(narrowed: Narrowed) -> None:
    assert all(p.requires_grad for p in narrowed.backbone.parameters())


def test_trained_parameters_are_those_backward_reaches() -> None:
    used, unused = nn.Linear(2, 3), nn.Linear(2, 3)
    frozen = nn.Linear(3, 4).requires_grad_(False)
    outputs = [frozen(used(torch.ones(1, 2))), unused(torch.ones(1, 2)).detach(), torch.ones(1)]
    assert find_trained_parameters(outputs) == {used.weight, used.bias}


@pytest.mark.parametrize("positions", [("c2",), ("c4",), ("c5", "c3")], ids="+".join)
def test_channels_last_network_is_narrowed_correctly(positions: tuple[str, ...]) -> None:
    check_selection(lambda: TimmBackbone(NHWC), positions, images_for(NHWC))


def test_select_removes_features_that_are_not_computed(narrowed: Narrowed) -> None:
    maps = FAMILIES[narrowed.name].maps
    deepest = max(maps[position].stride for position in narrowed.positions)
    assert narrowed.backbone.features == {position: f for position, f in maps.items() if f.stride <= deepest}
    assert ("detection" in narrowed.backbone.default_features) == (deepest == 32)
    for default_features in narrowed.backbone.default_features.values():
        assert set(default_features) <= set(narrowed.backbone.features)


def test_whole_networks_weights_load_after_select(narrowed: Narrowed, whole_networks: dict[str, nn.Module]) -> None:
    state = whole_networks[narrowed.name].state_dict()
    with torch.no_grad():
        for parameter in narrowed.backbone.parameters():
            parameter.zero_()
    assert load_state(narrowed.backbone, state, narrowed.name).missing == ()
    assert all(p.any() for p in narrowed.backbone.parameters())


def test_removed_tensors_are_not_unexpected(narrowed: Narrowed, whole_networks: dict[str, nn.Module]) -> None:
    report = load_state(narrowed.backbone, whole_networks[narrowed.name].state_dict(), narrowed.name)
    assert {key.partition(".")[0] for key in report.unexpected} == set(FAMILIES[narrowed.name].head)


@pytest.mark.parametrize("name", FAMILIES)
def test_unknown_map_is_refused_with_available_ones(name: str, loaded: Loaded, assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="no map 'c6'") as caught:
        loaded[name][0].select(["c5", "c6"])
    assert_one_sentence(caught.value, ["TimmBackbone", *FAMILIES[name].maps])


def test_select_keeps_mode_and_precision() -> None:
    backbone = TimmBackbone("resnet18").double().eval()
    backbone.select(["c3"])
    assert not any(module.training for module in backbone.modules())
    assert {p.dtype for p in backbone.parameters()} == {torch.float64}


# -------------------------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("name", FAMILIES)
def test_maps_equal_timms_with_the_same_weights(
    name: str,
    loaded: Loaded,
    whole_networks: dict[str, nn.Module],
    deviation: Callable[[Tensor, Tensor], float],
) -> None:
    backbone, report = loaded[name]
    assert report.missing == ()
    assert {key.partition(".")[0] for key in report.unexpected} == set(FAMILIES[name].head)
    images = images_for(name)
    with torch.no_grad():
        found = backbone(images)
        expected = whole_networks[name].forward_intermediates(images, intermediates_only=True)
    for x, theirs in zip(found.values(), expected, strict=True):
        assert deviation(x, theirs) <= 1e-5


@pytest.mark.parametrize("name", FAMILIES)
def test_own_saved_weights_load_completely(name: str, loaded: Loaded) -> None:
    source = loaded[name][0]
    backbone = copy.deepcopy(source)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.zero_()
    report = load_state(backbone, source.state_dict(), name)
    assert report.missing == report.unexpected == ()
    found = backbone.state_dict()
    assert all(torch.equal(x, found[key]) for key, x in source.state_dict().items())


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("resnet81", "resnet18"),
        ("mobilenet_v3_large", "mobilenetv3_large_100"),
        ("mobilenetv4_conv_smal", "mobilenetv4_conv_small"),
        ("convnext-atto", "convnext_atto"),
    ],
)
def test_unknown_name_suggests_similar_ones(name: str, close: str) -> None:
    with pytest.raises(ValueError, match="timm has no network") as caught:
        TimmBackbone(name)
    assert repr(name) in str(caught.value)
    assert close in str(caught.value)
    assert str(caught.value).endswith("?")


def test_name_without_similar_ones_gets_no_suggestion(assert_one_sentence) -> None:
    with pytest.raises(ValueError, match="timm has no network") as caught:
        TimmBackbone("qqqqqqqqqq")
    assert_one_sentence(caught.value, ["'qqqqqqqqqq'"])


def test_unknown_tag_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nosuchtag"):
        TimmBackbone("resnet18.nosuchtag")


@pytest.mark.parametrize("name", [NHWC, "vit_tiny_patch16_224"])
def test_unsupported_output_stride_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be built .*output_stride"):
        TimmBackbone(name, output_stride=16)


def test_unsupported_output_stride_is_named_without_reason() -> None:
    """Timm raises an error without a message for it."""
    with pytest.raises(ValueError, match="output_stride"):
        TimmBackbone("vgg11", output_stride=16)


def test_building_never_downloads() -> None:
    TimmBackbone("mobilenetv4_conv_small.e2400_r224_in1k")  # the fixture no_network would have raised
