"""The census of timm's networks says what works, why the rest does not, and survives networks that crash or hang."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch

from litmobile.tools import census
from litmobile.tools.census import check_training, family, in_worker, smallest_of_each_family, try_for_real, try_shapes
from litmobile.tools.census_document import WORKS, Trial, called, document, grouped, offered, share, why

SHORT = "the head runs, but a map is not of the image's size over its stride"


def trial(name: str, family: str = "resnet", strides: tuple[int, ...] = (8, 16, 32), **rest: object) -> Trial:
    return Trial(name, family, strides=list(strides), parameters=100, size=(224, 224), **rest)  # pyright: ignore[reportArgumentType]


# ------------------------------------------------------------------------------------------------------------- shapes


def test_a_network_that_works_under_all_three_heads() -> None:
    found = try_shapes("test_resnet")
    assert found.works and found.offers
    assert (found.family, found.strides, found.size) == ("resnet", [2, 4, 8, 16, 32], (160, 160))
    assert (found.recipe_size, found.frozen) == ("as it is", 0)
    assert found.parameters == sum(p.numel() for p in timm.create_model("test_resnet", features_only=True).parameters())


def test_a_network_whose_convolutions_do_not_pad_fails_by_the_size_of_its_maps() -> None:
    found = try_shapes("inception_v3")
    assert found.offers and not found.works
    assert found.failures == dict.fromkeys(("classification", "segmentation", "detection"), SHORT)


def test_a_network_of_one_stride_works_under_the_classifier_alone() -> None:
    found = try_shapes("test_vit")
    assert not found.offers
    assert set(found.failures) == {"segmentation", "detection"}
    assert offered(found) == "stride 16 only"


def test_a_network_without_any_of_the_contracts_strides_tells_its_own() -> None:
    found = try_shapes("vit_small_patch14_dinov2")
    assert found.strides == [14] and set(found.failures) == {"backbone"}
    assert offered(found) == "stride 14 only"


def test_a_network_for_one_size_has_to_be_told_another() -> None:
    assert try_shapes("coat_lite_tiny").recipe_size == "image_size"


def test_what_is_frozen_is_counted() -> None:
    found = try_shapes("hrnet_w18_small")
    assert found.works and 0 < found.frozen < found.parameters


def test_a_network_that_breaks_its_promises_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "find_trained_parameters", lambda outputs: set())
    assert try_shapes("test_resnet").failures["detection"] == "parameters get no gradient"
    monkeypatch.undo()
    monkeypatch.setattr(census.TimmBackbone, "forward", lambda self, images: 1 / 0)
    assert try_shapes("test_resnet").failures["detection"] == "ZeroDivisionError: division by zero"


# ----------------------------------------------------------------------------------------------------------- for real


def test_a_network_that_works_for_real() -> None:
    assert try_for_real(try_shapes("test_resnet")).real == WORKS


def test_what_fails_for_real_says_why() -> None:
    assert "no maps for segmentation" in str(try_for_real(try_shapes("test_vit")).real)


def test_a_gradient_that_is_not_finite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    network = census.under_head(census.TimmBackbone("test_resnet"), "classification", (64, 64))
    check_training(network, "classification", (64, 64))
    with torch.no_grad():
        next(network.backbone.parameters()).fill_(torch.nan)
    with pytest.raises(ValueError, match="no finite gradient"):
        check_training(network, "classification", (64, 64))


def test_the_smallest_working_network_stands_for_its_family() -> None:
    trials = [
        Trial("large", "a", [8, 16, 32], parameters=3),
        Trial("small", "a", [8, 16, 32], parameters=2),
        Trial("failing", "a", [8, 16, 32], parameters=1, failures={"detection": "it fails"}),
        Trial("without strides", "b", [16], parameters=1),
    ]
    assert [t.name for t in smallest_of_each_family(trials)] == ["small"]


def test_a_family_is_the_module_that_defines_it() -> None:
    assert (family("resnet18"), family("swin_tiny_patch4_window7_224")) == ("resnet", "swin_transformer")


# -------------------------------------------------------------------------------------------------------------- worker


@pytest.mark.slow
def test_a_network_that_ends_the_process_or_hangs_costs_no_other() -> None:
    works = ["__import__('os')._exit(1)", "1 + 1", "__import__('time').sleep(1000)"]
    assert list(in_worker(eval, works, limit=2)) == ["ends the process", 2, "takes longer than 2 s"]


def test_the_census_goes_on_and_counts_what_fails_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"resnet18": trial("resnet18"), "vgg11": trial("vgg11", "vgg"), "resnet34": "ends the process"}
    found["vit_tiny_patch16_224"] = trial("vit_tiny_patch16_224", "vision_transformer", (16,))
    found["vgg11"].parameters = 10**9

    def stand_in(work: object, arguments: list, limit: float) -> Iterator[object]:
        yield from ([found[name] for name in arguments] if work is try_shapes else ["takes longer than 1 s"])

    monkeypatch.setattr(census, "in_worker", stand_in)
    said: list[str] = []
    trials = census.census(list(found), limit=1, say=said.append)
    assert [t.name for t in trials] == list(found)
    assert trials[0].failures == {"for real": "takes longer than 1 s"}
    assert trials[1].works and trials[1].real == "too large to try (1000 M parameters)"
    assert trials[2].failures == {"backbone": "ends the process"}
    assert len(said) == 5


# ------------------------------------------------------------------------------------------------------------ document


@pytest.fixture(scope="module")
def written() -> str:
    trials = [
        trial("resnet18", real=WORKS, recipe_size="as it is"),
        trial("resnet34", frozen=5),
        trial("swin_a", "swin", recipe_size="image_size"),
        trial("inception_v3", "inception", failures=dict.fromkeys(("segmentation", "detection"), SHORT)),
        *(trial(f"vit_{k}", "vit", (16,), failures={"detection": "no maps"}) for k in range(2)),
        Trial("broken", "odd", failures={"backbone": "it cannot be built"}),
    ]
    return document(trials, minutes=3)


def test_the_document_counts(written: str) -> None:
    for line in (
        "| networks tried | 7 |",
        "| build with `features_only` | 6 (85.7%) |",
        "| offer maps at strides 8, 16 and 32 | 4 (57.1%) |",
        "| **of these, work under all three heads** | **3 (75.0%)** |",
        "| of the working, take 320×320 as they are | 1 (33.3%) |",
        "| … with `image_size=[320, 320]` | 1 (33.3%) |",
        "| … not at all | 1 (33.3%) |",
        "| without the three strides, but work under the classifier | 2 (66.7%) |",
        "| families with a working network, whose smallest also works for real | 1 (100.0%) |",
    ):
        assert line in written.splitlines()


def test_the_document_names_every_network_that_does_not_work_by_reason(written: str) -> None:
    for line in (
        f"| segmentation, detection: {SHORT} | 1 | inception_v3 |",
        "| stride 16 only | 2 | all 2 of *vit* |",
        "| backbone: it cannot be built | 1 | broken |",
        "| tried at 224×224 | 1 | resnet34 |",
        "| about 5 % of the parameters | 1 | resnet34 |",
    ):
        assert line in written.splitlines()


def test_the_document_has_a_row_a_family(written: str) -> None:
    assert "| resnet | 2 | 2 | 2 | 1 | 0 | resnet18: works |" in written.splitlines()
    assert "| vit | 2 | 0 | 0 | 0 | 0 |  |" in written.splitlines()


def test_the_document_says_what_it_was_made_with(written: str) -> None:
    assert f"timm {timm.__version__}" in written
    assert f"PyTorch {torch.__version__.partition('+')[0]}" in written
    assert "3 minutes of processor time" in written
    assert "python -m litmobile.tools.census" in written


def test_reasons_that_several_heads_share_are_said_once() -> None:
    found = trial("a", failures={"detection": "x.", "segmentation": "y", "classification": "x."})
    assert why(found) == "detection, classification: x; segmentation: y"


def test_networks_are_named_where_others_of_their_family_fare_otherwise() -> None:
    listed = [trial("a", "f"), trial("b", "f"), trial("c", "g"), *(trial(f"v{k}", "h", (k,)) for k in (14, 16, 16))]
    everyone = grouped(listed, lambda t: t.family)
    assert called([*everyone["f"], *everyone["g"]], everyone) == "all 2 of *f*, c"
    assert called(everyone["f"][:1], everyone) == "a"
    assert called(everyone["h"][1:], everyone) == "2 of *h*"
    assert called(everyone["h"][:1], everyone) == "v14"


def test_nothing_has_no_share() -> None:
    assert share([], []) == "0"


# -------------------------------------------------------------------------------------------------------- command line


def test_the_command_writes_both_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "in_worker", lambda work, arguments, limit: map(work, arguments))
    out, found = tmp_path / "census.md", tmp_path / "census.json"
    monkeypatch.setattr("sys.argv", ["census", "test_resn*", "test_vit", f"--out={out}", f"--json={found}"])
    census.main()
    assert "| networks tried | 2 |" in out.read_text()
    assert [t["name"] for t in json.loads(found.read_text())] == ["test_resnet", "test_vit"]


def test_a_pattern_that_fits_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["census", "no_such_network*"])
    with pytest.raises(SystemExit):
        census.main()
    assert "timm has no network called no_such_network*" in capsys.readouterr().err
