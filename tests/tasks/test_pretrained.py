"""Training starts from a whole pretrained network: which weights are kept, which are new, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_weight
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from litmobile.backbones import MobileNetV2, MobileNetV3
from litmobile.errors import WeightsError
from litmobile.heads import LRASPP, Classifier, SSDLite
from litmobile.heads.contract import Head
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.pretrained import load_pretrained, load_starting_weights

State = dict[str, Tensor]

SSDLITE = "SSDLite320_MobileNet_V3_Large_Weights.COCO_V1"
LRASPP_NAME = "LRASPP_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1"
COCO = tuple(get_weight(SSDLITE).meta["categories"][1:])
COCO_80 = tuple(name for name in COCO if name != "N/A")
# two of COCO's classes; N/A names ten of its rows and therefore matches none
OWN = ("zebra", "forklift", "person", "N/A")
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def make_random_state(network: nn.Module) -> State:
    """Return random tensors with the names, shapes and types of the network's."""
    generator = torch.Generator().manual_seed(0)
    return {k: torch.randn(v.shape, generator=generator).to(v.dtype) for k, v in network.state_dict().items()}


@pytest.fixture(scope="module")
def ssdlite() -> State:
    return make_random_state(ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None))


@pytest.fixture(scope="module")
def lraspp() -> State:
    return make_random_state(lraspp_mobilenet_v3_large(weights=None, weights_backbone=None))


@pytest.fixture
def requested_urls(ssdlite: State, lraspp: State, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace torchvision's downloads by random weights; return the list of requested URLs."""
    urls: list[str] = []

    def download(url: str, **options: object) -> State:
        assert options.get("weights_only") is True and options.get("check_hash") is True
        urls.append(url)
        return ssdlite if "ssdlite" in url else lraspp

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    return urls


def make_detector(classes: Sequence[str], head: Callable[..., Head] = SSDLite, **backbone: Any) -> Network:
    made = MobileNetV3(**({"tail": "detection"} | backbone))
    return Network(made, head, classes, Preprocessing(), role="detection")


def make_segmenter(classes: Sequence[str], **how: Any) -> Network:
    how = {"feature_maps": ["c3_first", "final"]} | how
    return Network(MobileNetV3(output_stride=16), LRASPP, classes, Preprocessing((64, 64), **IMAGENET), **how)


def make_small(classes: Sequence[str], head: Callable[..., Head] = SSDLite, width: float = 0.35, **how: Any) -> Network:
    return Network(MobileNetV2(width), head, classes, Preprocessing((64, 64)), **({"role": "detection"} | how))


def save(network: Network, path: Path) -> Path:
    """Save a checkpoint like a run's, with random weights."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"network.{name}": tensor for name, tensor in make_random_state(network).items()}
    torch.save({"network": network.config(), "state_dict": state, "epoch": 3}, path)
    return path


def list_class_tensors(network: Network) -> set[str]:
    return {f"head.{name}" for name in network.head.class_dimensions()}


def assert_all_but_classes_equal(network: Network, source: State) -> None:
    own = network.state_dict()
    assert set(own) == set(source)
    for name in set(own) - list_class_tensors(network):
        assert torch.equal(own[name], source[name]), name


# ------------------------------------------------------------------------------------------------ torchvision's SSDLite


def split_anchors(tensor: Tensor) -> Tensor:
    """Reshape ``[6·outputs, …]`` to ``[6, outputs, …]``."""
    return tensor.unflatten(0, (6, -1))


@pytest.mark.parametrize("classes", [OWN, COCO_80, ("disk", "ring")], ids=["some shared", "COCO's 80", "none shared"])
def test_published_detector_keeps_rows_of_shared_classes(
    classes: tuple[str, ...], ssdlite: State, requested_urls: list[str]
) -> None:
    network, same = make_detector(classes), make_detector(COCO)
    load_pretrained(same, SSDLITE)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    report = load_pretrained(network, SSDLITE)
    assert requested_urls == [get_weight(SSDLITE).url] * 2
    shared = tuple(name for name in classes if COCO.count(name) == 1)
    assert (report.kept, report.new) == (shared, tuple(name for name in classes if name not in shared))
    assert report.loaded == len(ssdlite)
    whole = same.state_dict()
    assert_all_but_classes_equal(network, whole)
    for name in list_class_tensors(network):
        found, theirs, initial = (split_anchors(x[name]) for x in (network.state_dict(), whole, before))
        assert torch.equal(found[:, 0], theirs[:, 0])
        for k, label in enumerate(classes, start=1):
            expected = theirs[:, 1 + COCO.index(label)] if label in shared else initial[:, k]
            assert torch.equal(found[:, k], expected), (name, label)


def test_every_row_is_kept_for_torchvisions_own_classes(ssdlite: State, requested_urls: list[str]) -> None:
    report = load_pretrained(make_detector(COCO), SSDLITE)
    assert str(
        report
    ) == f"loaded {len(ssdlite)} tensors from {SSDLITE}; the head keeps the weights of all 90 classes" + (
        ". It was trained with backbone.norm_momentum=0.03"
    )


@pytest.mark.parametrize("count", [90, 4])
def test_unnamed_classes_keep_their_rows_if_counts_match(count: int, requested_urls: list[str]) -> None:
    report = load_pretrained(make_detector([f"class_{k}" for k in range(count)]), SSDLITE)
    assert (len(report.kept), len(report.new)) == ((90, 0) if count == 90 else (0, 4))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_torchvision_file_loads_like_the_published_weights(
    suffix: str, ssdlite: State, requested_urls: list[str], tmp_path: Path
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"model": ssdlite, "epoch": 3}, path)
    else:
        save_file(ssdlite, path)
    torch.manual_seed(0)
    from_file = make_detector(OWN)
    torch.manual_seed(0)
    by_name = make_detector(OWN)
    assert load_pretrained(from_file, path)._replace(source="") == load_pretrained(by_name, SSDLITE)._replace(source="")
    assert len(requested_urls) == 1
    assert all(torch.equal(x, by_name.state_dict()[name]) for name, x in from_file.state_dict().items())


def test_softmax_rows_are_not_kept_for_a_focal_loss(requested_urls: list[str]) -> None:
    network = make_detector(OWN, partial(SSDLite, loss="focal"))
    before = {name: network.state_dict()[name].clone() for name in list_class_tensors(network)}
    report = load_pretrained(network, SSDLITE)
    assert report.kept == ()
    assert "head.loss='softmax'" in str(report)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_report_names_kept_and_new_classes_and_differences(requested_urls: list[str]) -> None:
    network = Network(MobileNetV3(tail="detection"), SSDLite, OWN, Preprocessing(**IMAGENET), role="detection")
    assert str(load_pretrained(network, SSDLITE)).partition("; ")[2] == (
        "the head keeps the weights of zebra, person; 2 classes start from random weights (forklift, N/A). "
        "It was trained with backbone.norm_momentum=0.03, "
        "preprocessing.mean=[0.5, 0.5, 0.5], preprocessing.std=[0.5, 0.5, 0.5]"
    )


# ------------------------------------------------------------------------------------------------ torchvision's LR-ASPP


def test_lraspp_keeps_the_rows_of_shared_classes(lraspp: State, requested_urls: list[str]) -> None:
    classes = ("road", "car", "background", "person")
    voc = get_weight(LRASPP_NAME).meta["categories"]
    network = make_segmenter(classes)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    report = load_pretrained(network, LRASPP_NAME)
    assert (report.kept, report.new, report.differences) == (("car", "background", "person"), ("road",), ())
    same = make_segmenter(["background", *voc[1:]])
    assert load_pretrained(same, LRASPP_NAME).new == ()
    assert_all_but_classes_equal(network, same.state_dict())
    for ours, theirs in (("fine", "low"), ("coarse", "high")):
        for leaf in ("weight", "bias"):
            found = network.state_dict()[f"head.{ours}_classifier.{leaf}"]
            published = lraspp[f"classifier.{theirs}_classifier.{leaf}"]
            assert torch.equal(found[1:], published[[voc.index("car"), 0, voc.index("person")]])
            assert torch.equal(found[0], before[f"head.{ours}_classifier.{leaf}"][0])


def test_lraspp_on_other_feature_maps_is_refused(requested_urls: list[str], assert_one_sentence) -> None:
    with pytest.raises(WeightsError, match="other maps") as caught:
        load_pretrained(make_segmenter(["car"], feature_maps=["c3", "final"]), LRASPP_NAME)
    assert_one_sentence(caught.value, LRASPP_NAME, "c3, final", "maps=[c3_first,final]")


# --------------------------------------------------------------------------------------------------------- runs of ours


@pytest.mark.parametrize("head", [SSDLite, partial(SSDLite, loss="focal", layout="tensorflow")], ids=str)
@pytest.mark.parametrize("how", ["folder", "checkpoint"])
def test_run_is_loaded_for_other_classes(how: str, head: Callable[..., Head], tmp_path: Path) -> None:
    source = make_small(("ant", "bee", "fly"), head)
    path = save(source, tmp_path / "run" / "checkpoints" / "best.ckpt")
    network = make_small(("fly", "wasp", "ant", "moth"), head)
    report = load_pretrained(network, tmp_path / "run" if how == "folder" else path)
    assert (report.kept, report.new, report.differences) == (("fly", "ant"), ("wasp", "moth"), ())
    theirs = make_random_state(source)
    assert_all_but_classes_equal(network, theirs)
    for name, (groups, background) in network.head.class_dimensions().items():
        found, expected = (
            x[f"head.{name}"].unflatten(0, (groups, -1))[:, background:] for x in (network.state_dict(), theirs)
        )
        assert torch.equal(found[:, [2, 0]], expected[:, [0, 2]])


def test_state_without_class_names_keeps_rows_if_counts_match(tmp_path: Path) -> None:
    torch.save(make_random_state(make_small("abc")), tmp_path / "state.pth")
    assert load_pretrained(make_small("xyz"), tmp_path / "state.pth").kept == ("x", "y", "z")
    assert load_pretrained(make_small("xy"), tmp_path / "state.pth").new == ("x", "y")


def test_classifier_is_loaded_for_other_classes(tmp_path: Path) -> None:
    path = save(make_small("abc", Classifier, role="classification"), tmp_path / "last.ckpt")
    assert load_pretrained(make_small("cbxy", Classifier, role="classification"), path).kept == ("c", "b")


# --------------------------------------------------------------------------------------------- networks that do not fit

FIRST = "head.classifiers.0.depthwise.conv.weight"
DOES_NOT_FIT: dict[str, tuple[Callable[[], Network], tuple[str, ...]]] = {
    "another tail": (lambda: make_detector(OWN, tail="full"), ("backbone.tail='detection'",)),
    "another layout": (
        lambda: make_detector(OWN, partial(SSDLite, layout="tensorflow")),
        ("head.classifiers.0.project.weight is [15, 672, 1, 1] here and [546, 672, 1, 1] there", "head.layout="),
    ),
    "fewer ratios": (
        lambda: make_detector(OWN, partial(SSDLite, aspect_ratios=[2.0])),
        ("set head.aspect_ratios=[2.0, 3.0]",),
    ),
    "other extra maps": (
        lambda: make_detector(OWN, partial(SSDLite, extras=[512, 256, 256])),
        ("absent here", "set head.extras=[512, 256, 256, 128]"),
    ),
    "another backbone": (
        lambda: Network(MobileNetV2(), SSDLite, OWN, Preprocessing(), role="detection"),
        ("SSDLite on MobileNetV2", "set backbone=litmobile.backbones.MobileNetV3"),
    ),
}


@pytest.mark.parametrize(("make", "words"), DOES_NOT_FIT.values(), ids=DOES_NOT_FIT)
def test_mismatch_names_the_tensor_its_shapes_and_the_argument(
    make: Callable[[], Network], words: tuple[str, ...], requested_urls: list[str], assert_one_sentence
) -> None:
    network = make()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError, match="does not fit") as caught:
        load_pretrained(network, SSDLITE)
    assert_one_sentence(caught.value, SSDLITE, "here and", *words)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_run_with_another_width_is_refused(tmp_path: Path, assert_one_sentence) -> None:
    path = save(make_small("abc", width=0.5), tmp_path / "last.ckpt")
    with pytest.raises(WeightsError) as caught:
        load_pretrained(make_small("ab"), path)
    assert_one_sentence(caught.value, path, "backbone.", "set backbone.width=0.5")


def test_mismatched_state_names_the_arguments_to_check(tmp_path: Path, assert_one_sentence) -> None:
    torch.save(make_random_state(make_small("abc", width=0.5)), tmp_path / "state.pth")
    with pytest.raises(WeightsError) as caught:
        load_pretrained(make_small("abc"), tmp_path / "state.pth")
    assert_one_sentence(
        caught.value, "set backbone.width and backbone.tail and backbone.in_channels as it was trained with"
    )


class UndeclaredHead(Classifier):
    """A head that does not declare which of its tensors have rows for classes."""

    def class_dimensions(self) -> dict[str, Any]:
        return {}


def test_head_without_class_dimensions_is_refused(tmp_path: Path, assert_one_sentence) -> None:
    path = save(make_small("abc", UndeclaredHead, role="classification"), tmp_path / "last.ckpt")
    assert load_pretrained(make_small("abc", UndeclaredHead, role="classification"), path).new == ()
    with pytest.raises(WeightsError) as caught:
        load_pretrained(make_small("ab", UndeclaredHead, role="classification"), path)
    assert_one_sentence(caught.value, "UndeclaredHead.class_dimensions")


def make_backbone_state() -> State:
    return MobileNetV2(0.35).state_dict()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (make_backbone_state, "load backbones with backbone_weights"),
        (lambda: make_random_state(make_small("abc", Classifier, role="classification")), "has no SSDLite head"),
        (lambda: {"conv.weight": torch.zeros(2)}, "has no SSDLite head"),
        (
            lambda: make_random_state(make_small("abc")) | {"surplus": torch.zeros(2)},
            "head.surplus is absent here and [2] there",
        ),
        (
            lambda: {k: v for k, v in make_random_state(make_small("abc")).items() if "extras.0.0.conv" not in k},
            "absent there",
        ),
        (lambda: {k: torch.zeros(()) for k in make_random_state(make_small("abc"))}, "[] there"),
    ],
    ids=["a backbone", "another head", "something else", "a surplus tensor", "a missing tensor", "scalars"],
)
def test_files_of_other_networks_are_refused(
    state: Callable[[], State], words: str, tmp_path: Path, assert_one_sentence
) -> None:
    torch.save(state(), tmp_path / "state.pth")
    with pytest.raises(WeightsError) as caught:
        load_pretrained(make_small("abc"), tmp_path / "state.pth")
    assert_one_sentence(caught.value, tmp_path / "state.pth", words)


def test_torchvision_network_without_coco_classes_has_no_names(tmp_path: Path) -> None:
    state = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5).state_dict()
    torch.save(state, tmp_path / "state.pth")
    assert load_pretrained(make_detector(OWN), tmp_path / "state.pth").kept == OWN


@pytest.mark.parametrize("source", ["imagenet", LRASPP_NAME, "runs/nowhere"])
def test_unknown_weights_name_lists_the_published_ones(source: str, requested_urls: list[str]) -> None:
    with pytest.raises(WeightsError, match="is not a file, a run, or") as caught:
        load_pretrained(make_small("abc"), source)
    assert SSDLITE in str(caught.value) and requested_urls == []


def test_failed_download_suggests_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, **options: object) -> State:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    with pytest.raises(WeightsError, match=r"could not be downloaded.*pass a file"):
        load_pretrained(make_detector(OWN), SSDLITE)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        ("full", "The weights MobileNet_V3_Large_Weights.IMAGENET1K_V2 could not be downloaded (URLError: "),
        ("detection", "No ImageNet weights are published for MobileNetV3("),
    ],
)
def test_auto_trains_from_random_weights_without_published_ones(
    tail: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(url: str, **options: object) -> State:
        raise URLError("offline")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", fail)
    network = Network(MobileNetV3(tail=tail), SSDLite, OWN, Preprocessing(**IMAGENET), role="detection")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with caplog.at_level("INFO"):
        load_starting_weights(network, None, "auto")
    assert f"The backbone starts from random weights. {reason}" in caplog.text
    assert len(caplog.records) == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_missing_checkpoint_is_named(tmp_path: Path, assert_one_sentence) -> None:
    for path in (tmp_path, tmp_path / "nowhere.ckpt"):
        with pytest.raises(WeightsError) as caught:
            load_pretrained(make_small("abc"), path)
        assert_one_sentence(caught.value, path, ".ckpt")


def test_malicious_checkpoint_is_refused_and_runs_no_code(tmp_path: Path) -> None:
    marker = tmp_path / "marker"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (marker,))

    torch.save({"network": Attack(), "state_dict": make_random_state(make_small("abc"))}, tmp_path / "last.ckpt")
    with pytest.raises(WeightsError, match="was refused"):
        load_pretrained(make_small("abc"), tmp_path / "last.ckpt")
    assert not marker.exists()
