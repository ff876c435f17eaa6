"""Published weights: which fit which network, and errors for weights that cannot be loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import huggingface_hub.constants
import pytest
import timm
import torch
import torchvision
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from litmobile.backbones import (
    EffNet,
    MobileNetV1,
    MobileNetV2,
    MobileNetV3,
    MobileViT,
    ShuffleNetV1,
    ShuffleNetV2,
    TimmBackbone,
    load_weights,
)
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.backbones.weights import fetch
from litmobile.errors import WeightsError
from support.families import FAMILIES, format_id

State = dict[str, Tensor]
NORMS = nn.modules.batchnorm._BatchNorm

# ---------------------------------------------------------------------------------------------------- published weights

NAMES = [(family, name) for family in FAMILIES for name in family.published]
PUBLISHED = [pytest.param(family, name, id=name) for family, name in NAMES]
IN_TORCHVISION = [pytest.param(family, name, id=name) for family, name in NAMES if "_Weights." in name]
IN_TIMM = [pytest.param(family, name, id=name) for family, name in NAMES if "_Weights." not in name]


def arguments_for(family: type[SequentialBackbone], name: str) -> dict[str, Any]:
    """Returns the arguments of ``family`` that its weights ``name`` need."""
    return {key: values[0] for key, values in family.published[name].accepted_values.items()}


def fitting(family: type[SequentialBackbone], name: str) -> SequentialBackbone:
    return family(**arguments_for(family, name))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Simulates a machine without network and cache; returns the URLs that were requested."""
    asked: list[str] = []

    def unreachable(url: str, *args: object, **kwargs: object) -> State:
        asked.append(url)
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "huggingface"))
    return asked


@pytest.fixture
def torchvision_serves(monkeypatch: pytest.MonkeyPatch) -> Callable[[State], list[str]]:
    """Replaces torchvision's download by a state; returns the URLs that were requested."""

    def serve(state: State) -> list[str]:
        asked: list[str] = []

        def download(url: str, **options: object) -> State:
            assert options.get("weights_only") is True
            assert options.get("check_hash") is True
            asked.append(url)
            return state

        monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
        return asked

    return serve


@pytest.fixture
def timm_serves(monkeypatch: pytest.MonkeyPatch) -> Callable[[State], list[str]]:
    """Replaces timm's download by a state; returns the names that were requested."""

    def serve(state: State) -> list[str]:
        asked: list[str] = []

        def download(name: str, *args: object, **kwargs: object) -> State:
            asked.append(name)
            return dict(state)

        monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", download)
        return asked

    return serve


@pytest.mark.parametrize(("family", "name"), IN_TORCHVISION)
def test_torchvisions_weights_load_completely(
    family: type[SequentialBackbone], name: str, torchvision_serves: Callable[[State], list[str]]
) -> None:
    builder = getattr(torchvision.models, name.partition("_Weights.")[0].lower())
    asked = torchvision_serves(builder().state_dict())
    report = load_weights(fitting(family, name), name)
    assert report.missing == ()
    assert {key.partition(".")[0] for key in report.unexpected} <= {"classifier", "fc"}
    assert asked == [torchvision.models.get_weight(name).url]


@pytest.mark.parametrize(("family", "name"), IN_TIMM)
def test_timms_weights_load_completely_with_its_epsilon(
    family: type[SequentialBackbone], name: str, timm_serves: Callable[[State], list[str]]
) -> None:
    theirs = timm.create_model(name)
    asked = timm_serves(theirs.state_dict())
    ours = fitting(family, name)
    report = load_weights(ours, name)
    assert report.missing == ()
    assert {key.partition(".")[0] for key in report.unexpected} <= {"classifier", "head", "conv_head"}
    assert asked == [f"timm/{name}"]
    first, second = ({m.eps for m in network.modules() if isinstance(m, NORMS)} for network in (ours, theirs))
    assert first == second


@pytest.mark.parametrize(("family", "name"), IN_TORCHVISION)
def test_facts_about_torchvisions_weights_are_its_own(family: type[SequentialBackbone], name: str) -> None:
    said, weights = family.published[name], torchvision.models.get_weight(name)
    assert said.top1 == pytest.approx(weights.meta["_metrics"]["ImageNet-1K"]["acc@1"], abs=0.005)
    transforms = weights.transforms()
    assert said.normalisation == (tuple(transforms.mean), tuple(transforms.std))
    assert fitting(family, name).normalisation(name) == said.normalisation


@pytest.mark.parametrize(("family", "name"), IN_TIMM)
def test_facts_about_timms_weights_equal_timms(family: type[SequentialBackbone], name: str) -> None:
    config = get_pretrained_cfg(name)
    assert family.published[name].normalisation == (config.mean, config.std)


@pytest.mark.parametrize("family", FAMILIES, ids=format_id)
def test_all_published_weights_are_listed(family: type[SequentialBackbone]) -> None:
    builders = {name.partition("_Weights.")[0] for name in family.published if "_Weights." in name}
    enums = [getattr(torchvision.models, f"{builder}_Weights") for builder in builders]
    published = {str(weights) for enum in enums for weights in enum}
    for network in {name.partition(".")[0] for name in family.published if "_Weights." not in name}:
        published |= set(timm.list_pretrained(f"{network}.*"))
    assert set(family.published) == published


@pytest.mark.parametrize(("family", "name"), IN_TORCHVISION)
def test_imagenet_is_torchvisions_best_weights(family: type[SequentialBackbone], name: str) -> None:
    stands_for = fitting(family, name).imagenet_weights_name()
    best = type(torchvision.models.get_weight(name)).DEFAULT
    assert torchvision.models.get_weight(stands_for) is best


@pytest.mark.parametrize(("family", "name"), PUBLISHED)
def test_imagenet_weights_ignore_select_and_output_stride(family: type[SequentialBackbone], name: str) -> None:
    arguments = arguments_for(family, name)
    expected = family(**arguments).imagenet_weights_name()
    assert expected
    dilated = family(**arguments, output_stride=16, norm_momentum=0.03)
    dilated.select([next(iter(dilated.features))])
    assert dilated.imagenet_weights_name() == expected


@pytest.mark.parametrize("source", ["imagenet", "by name"])
@pytest.mark.parametrize(("family", "name"), IN_TORCHVISION)
def test_offline_published_weights_suggest_a_file(
    family: type[SequentialBackbone], name: str, source: str, offline: list[str], assert_one_sentence
) -> None:
    backbone = fitting(family, name)
    wanted = backbone.imagenet_weights_name() if source == "imagenet" else name
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone, wanted if source == "by name" else source)
    assert_one_sentence(caught.value, [wanted, "could not be downloaded", "not known", "pass a file"])
    assert offline == [torchvision.models.get_weight(wanted).url]


@pytest.mark.parametrize(
    "error",
    [
        HTTPError("https://download.pytorch.org/x", 403, "Forbidden", None, None),  # type: ignore[arg-type]
        ConnectionResetError("reset by peer"),
        TimeoutError("timed out"),
        PermissionError("cannot write the cache"),
        RuntimeError('invalid hash value (expected "b0353104", got "00000000")'),
    ],
    ids=lambda error: type(error).__name__,
)
def test_download_errors_suggest_a_file(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> State:
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(WeightsError, match="pass a file") as caught:
        load_weights(MobileNetV2(), "imagenet")
    assert "MobileNet_V2_Weights.IMAGENET1K_V2" in str(caught.value)


TIMM_NETWORKS = ("resnet18", "mobilenetv3_large_100", "mobilenetv4_conv_small", "tf_mobilenetv3_small_minimal_100")


@pytest.mark.parametrize("source", ["imagenet", "by name"])
@pytest.mark.parametrize("network", TIMM_NETWORKS)
def test_offline_timm_weights_suggest_a_file(
    network: str, source: str, offline: list[str], assert_one_sentence
) -> None:
    backbone = TimmBackbone(network)
    wanted = backbone.imagenet_weights_name()
    with pytest.raises(WeightsError) as caught:
        load_weights(backbone, wanted if source == "by name" else source)
    text = str(caught.value).replace("local cache. Please", "local cache; please")  # text of Hugging Face
    assert_one_sentence(WeightsError(text), [wanted, "could not be downloaded", "pass a file"])


@pytest.mark.parametrize(
    "network",
    [
        "resnet18",
        "tf_mobilenetv3_small_minimal_100",
        "mobilenetv3_large_100",
        "mobilenetv4_conv_small",
    ],
)
def test_imagenet_is_timms_default_weights(network: str) -> None:
    assert TimmBackbone(network).imagenet_weights_name() == f"{network}.{get_pretrained_cfg(network).tag}"


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "mobilevit_s.cvnets_in1k", "mobilenetv4_conv_small"])
def test_timms_normalisation_is_known(name: str) -> None:
    config = get_pretrained_cfg(name)
    assert TimmBackbone(name).normalisation(name) == (config.mean, config.std)
    assert TimmBackbone(name).normalisation("some/file.pth") is None


def test_other_timm_networks_weights_are_not_downloaded(offline: list[str], assert_one_sentence) -> None:
    with pytest.raises(WeightsError) as caught:
        load_weights(TimmBackbone("resnet18"), "resnet34.a1_in1k")
    assert_one_sentence(caught.value, ["resnet34.a1_in1k", "resnet18"])


def test_tagged_timm_name_is_its_own_imagenet_weights() -> None:
    name = "mobilenetv3_large_100.ra_in1k"
    assert TimmBackbone(name).imagenet_weights_name() == name


def test_timms_published_weights_load_completely(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    served = timm.create_model("resnet18").state_dict()
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", lambda *args, **kwargs: dict(served))
    backbone = TimmBackbone("resnet18")
    report = load_weights(backbone, "imagenet")
    assert report.missing == ()
    assert set(report.unexpected) == {"fc.weight", "fc.bias"}
    assert torch.equal(backbone.state_dict()["net.conv1.weight"], served["conv1.weight"])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nosuch", "nosuch"),
        ("resnet18.nosuch", "nosuch"),
        ("Nosuch_Weights.IMAGENET1K_V1", "Nosuch_Weights"),
        ("ResNet18_Weights.NOSUCH", "NOSUCH"),
    ],
)
def test_names_unknown_to_torchvision_and_timm_are_refused(name: str, said: str, offline: list[str]) -> None:
    for attempt in (lambda: fetch(name), lambda: load_weights(TimmBackbone("resnet18"), name)):
        with pytest.raises(WeightsError) as caught:
            attempt()
        assert said in str(caught.value)
    assert offline == []


UNPUBLISHED = (
    (MobileNetV1, {"width": 0.5, "activation": "relu6"}, "width=1.0"),
    (MobileNetV1, {}, "activation='relu6'"),
    (MobileNetV2, {"width": 0.75}, "width=1.0"),
    (MobileNetV2, {"width": 0.5, "padding": "same"}, "padding='symmetric'"),
    (MobileNetV2, {"in_channels": 1}, "in_channels=3"),
    (MobileNetV2, {"norm_eps": 1e-3}, "norm_eps=1e-05"),
    (MobileNetV3, {"width": 0.75}, "padding='same'"),
    (MobileNetV3, {"width": 0.5}, "width=1.0"),
    (MobileNetV3, {"variant": "small", "width": 1.25}, "width=1.0"),
    (MobileNetV3, {"minimalistic": True}, "padding='same'"),
    (MobileNetV3, {"tail": "segmentation"}, "tail='full'"),
    (ShuffleNetV2, {"activation": "silu"}, "activation='relu'"),
    (MobileViT, {"variant": "xs", "in_channels": 1}, "in_channels=3"),
)


@pytest.mark.parametrize(("family", "arguments", "nearest"), UNPUBLISHED, ids=format_id)
def test_imagenet_refusal_names_the_nearest_weights(
    family: type[SequentialBackbone], arguments: dict[str, Any], nearest: str, offline: list[str], assert_one_sentence
) -> None:
    with pytest.raises(WeightsError, match="No ImageNet weights are published") as caught:
        load_weights(family(**arguments), "imagenet")
    described = [f"{key}={value!r}" for key, value in arguments.items()]
    assert_one_sentence(caught.value, [family.__name__, *described, nearest, "pass a file"])
    assert offline == []


@pytest.mark.parametrize("family", [ShuffleNetV1, EffNet], ids=format_id)
def test_imagenet_is_refused_without_published_weights(family: type[SequentialBackbone], assert_one_sentence) -> None:
    with pytest.raises(WeightsError, match="No ImageNet weights are published") as caught:
        load_weights(family(), "imagenet")
    assert_one_sentence(caught.value, [family.__name__, "pass a file"])


def test_imagenet_is_refused_for_unpublished_timm_network(offline: list[str]) -> None:
    name = "mobilenetv3_large_075"
    backbone = TimmBackbone(name)
    assert backbone.imagenet_weights_name() == ""
    with pytest.raises(WeightsError, match=f"No ImageNet weights are published for TimmBackbone.*{name}"):
        load_weights(backbone, "imagenet")


V1_NAME, VIT_NAME = "mobilenetv1_100.ra4_e3600_r224_in1k", "mobilevit_s.cvnets_in1k"
V2_NAME, V3_NAME = "MobileNet_V2_Weights.IMAGENET1K_V1", "MobileNet_V3_Large_Weights.IMAGENET1K_V1"
TF_NAME, SHUFFLE_NAME = "tf_mobilenetv3_large_100.in1k", "ShuffleNet_V2_X1_0_Weights.IMAGENET1K_V1"
OTHER_VALUES = (
    (MobileNetV1, V1_NAME, {}, "activation='relu6'"),
    (MobileNetV1, V1_NAME, {"activation": "relu6", "width": 0.5}, "width=1.0"),
    (MobileNetV1, V1_NAME, {"activation": "relu6", "padding": "same"}, "padding='symmetric'"),
    (MobileNetV2, V2_NAME, {"width": 0.5}, "width=1.0"),
    (MobileNetV2, V2_NAME, {"in_channels": 1}, "in_channels=3"),
    (MobileNetV2, V2_NAME, {"activation": "relu"}, "activation='relu6'"),
    (MobileNetV2, V2_NAME, {"padding": "same"}, "padding='symmetric'"),
    (MobileNetV2, V2_NAME, {"norm_eps": 1e-3}, "norm_eps=1e-05"),
    (MobileNetV3, V3_NAME, {"variant": "small"}, "variant='large'"),
    (MobileNetV3, V3_NAME, {"width": 0.75}, "width=1.0"),
    (MobileNetV3, V3_NAME, {"tail": "detection"}, "tail='full'"),
    (MobileNetV3, V3_NAME, {"tail": "segmentation"}, "tail='full'"),
    (MobileNetV3, V3_NAME, {"minimalistic": True}, "minimalistic=False"),
    (MobileNetV3, V3_NAME, {"in_channels": 1}, "in_channels=3"),
    (MobileNetV3, V3_NAME, {"activation": "relu"}, "activation='hardswish'"),
    (MobileNetV3, V3_NAME, {"padding": "same"}, "padding='symmetric'"),
    (MobileNetV3, TF_NAME, {}, "padding='same'"),
    (ShuffleNetV2, SHUFFLE_NAME, {"width": 2.0}, "width=1.0"),
    (ShuffleNetV2, SHUFFLE_NAME, {"activation": "relu6"}, "activation='relu'"),
    (MobileViT, VIT_NAME, {"variant": "xxs"}, "variant='s'"),
    (MobileViT, VIT_NAME, {"in_channels": 1}, "in_channels=3"),
)


@pytest.mark.parametrize(
    ("family", "name", "arguments", "named"),
    OTHER_VALUES,
    ids=format_id,
)
def test_unfitting_published_weights_name_the_argument(
    family: type[SequentialBackbone],
    name: str,
    arguments: dict[str, Any],
    named: str,
    offline: list[str],
    assert_one_sentence,
) -> None:
    with pytest.raises(ValueError, match="does not fit") as caught:
        load_weights(family(**arguments), name)
    assert_one_sentence(caught.value, [name, family.__name__, named])
    assert str(caught.value).count("=") == 1  # only the argument that does not fit is named
    assert offline == []


def test_explicit_default_activation_keeps_the_weights() -> None:
    assert MobileNetV3(activation="hardswish").imagenet_weights_name() == MobileNetV3().imagenet_weights_name() != ""


@pytest.mark.parametrize("source", [V2_NAME, "nosuch"])
def test_every_refusal_of_load_weights_is_a_weights_error(source: str, offline: list[str]) -> None:
    with pytest.raises(WeightsError):
        load_weights(MobileNetV2(width=0.5), source)
