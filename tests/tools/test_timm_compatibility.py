"""timm's networks work under all three heads; on request, a test tries all of them and rewrites the document.

    LITMOBILE_TIMM_COMPATIBILITY=1 python -m pytest -n 0 -s tests/tools/test_timm_compatibility.py

This takes about 40 minutes on one core and writes ``docs/timm_compatibility.md``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import timm
import torch

from litmobile.backbones import TimmBackbone
from support.timm_compatibility import trials
from support.timm_compatibility.document import (
    COMMAND,
    format_document,
    format_failures,
    format_names,
    format_share,
    format_strides,
    group,
)
from support.timm_compatibility.trials import (
    SIZE_MISMATCH,
    Trial,
    check_training,
    family_of,
    find_smallest,
    make_network,
    try_all,
    try_shapes,
    try_training,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "timm_compatibility.md"


@pytest.mark.skipif(
    not os.environ.get("LITMOBILE_TIMM_COMPATIBILITY"),
    reason="tries all of timm's networks for 40 minutes; set LITMOBILE_TIMM_COMPATIBILITY=1 to run it",
)
def test_all_networks_and_rewrite_the_document() -> None:
    torch.set_num_threads(1)
    start = time.process_time()
    results = try_all(timm.list_models())
    DOCUMENT.write_text(format_document(results, (time.process_time() - start) / 60))
    assert all(t.training == "works" for t in find_smallest(results) if t.parameters <= trials.MAX_PARAMETERS)


def make_trial(name: str, family: str = "resnet", strides: tuple[int, ...] = (8, 16, 32), **rest: object) -> Trial:
    return Trial(name, family, strides=list(strides), parameters=100, size=(224, 224), **rest)  # pyright: ignore[reportArgumentType]


# -------------------------------------------------------------------------------------------------------------- shapes


def test_resnet_works_under_all_three_heads() -> None:
    result = try_shapes("test_resnet")
    assert result.works and result.has_strides
    assert (result.family, result.strides, result.size) == ("resnet", [2, 4, 8, 16, 32], (160, 160))
    assert (result.recipe_size, result.frozen) == ("as it is", 0)
    network = timm.create_model("test_resnet", features_only=True)
    assert result.parameters == sum(p.numel() for p in network.parameters())


def test_convolutions_without_padding_fail_by_map_size() -> None:
    result = try_shapes("inception_v3")
    assert result.has_strides and not result.works
    assert result.failures == dict.fromkeys(("classification", "segmentation", "detection"), SIZE_MISMATCH)


def test_network_of_one_stride_only_classifies() -> None:
    result = try_shapes("test_vit")
    assert not result.has_strides
    assert set(result.failures) == {"segmentation", "detection"}
    assert format_strides(result) == "stride 16 only"


def test_network_without_suitable_strides_reports_its_own() -> None:
    result = try_shapes("vit_small_patch14_dinov2")
    assert result.strides == [14] and set(result.failures) == {"backbone"}
    assert format_strides(result) == "stride 14 only"


def test_network_for_one_size_needs_image_size() -> None:
    assert try_shapes("coatnet_0_rw_224").recipe_size == "image_size"


def test_frozen_parameters_are_counted() -> None:
    result = try_shapes("hrnet_w18_small")
    assert result.works and 0 < result.frozen < result.parameters


def test_broken_network_reports_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "find_trained_parameters", lambda outputs: set())
    assert try_shapes("test_resnet").failures["detection"] == "parameters get no gradient"
    monkeypatch.undo()
    monkeypatch.setattr(TimmBackbone, "forward", lambda self, images: 1 / 0)
    assert try_shapes("test_resnet").failures["detection"] == "ZeroDivisionError: division by zero"


def test_family_is_the_module_that_defines_a_network() -> None:
    assert (family_of("resnet18"), family_of("swin_tiny_patch4_window7_224")) == ("resnet", "swin_transformer")


# ------------------------------------------------------------------------------------------------------------ training


def test_resnet_trains() -> None:
    assert try_training(try_shapes("test_resnet")) == "works"


def test_training_reports_the_reason_of_a_failure() -> None:
    assert "no maps for segmentation" in try_training(try_shapes("test_vit"))


def test_non_finite_gradient_fails() -> None:
    network = make_network(TimmBackbone("test_resnet"), "classification", (64, 64))
    check_training(network, "classification", (64, 64))
    with torch.no_grad():
        next(network.backbone.parameters()).fill_(torch.nan)
    with pytest.raises(AssertionError, match="no finite gradient"):
        check_training(network, "classification", (64, 64))


def test_smallest_working_network_stands_for_its_family() -> None:
    results = [
        Trial("large", "a", [8, 16, 32], parameters=3),
        Trial("small", "a", [8, 16, 32], parameters=2),
        Trial("failing", "a", [8, 16, 32], parameters=1, failures={"detection": "it fails"}),
        Trial("without strides", "b", [16], parameters=1),
    ]
    assert [t.name for t in find_smallest(results)] == ["small"]


def test_failed_training_counts_as_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"resnet18": make_trial("resnet18"), "vgg11": make_trial("vgg11", "vgg")}
    results["vit_tiny_patch16_224"] = make_trial("vit_tiny_patch16_224", "vision_transformer", (16,))
    results["vgg11"].parameters = 10**9
    monkeypatch.setattr(trials, "try_shapes", results.__getitem__)
    monkeypatch.setattr(trials, "family_of", lambda name: 1 / 0)
    monkeypatch.setattr(trials, "TimmBackbone", lambda name, image_size: 1 / 0)
    small, large, vit = try_all(list(results))
    assert small.failures == {"training": "ZeroDivisionError: division by zero"}
    assert large.works and large.training == "too large to try (1000 M parameters)"
    assert vit.training is None


# ------------------------------------------------------------------------------------------------------------ document


@pytest.fixture(scope="module")
def document() -> str:
    results = [
        make_trial("resnet18", training="works", recipe_size="as it is"),
        make_trial("resnet34", frozen=5),
        make_trial("swin_a", "swin", recipe_size="image_size"),
        make_trial("inception_v3", "inception", failures=dict.fromkeys(("segmentation", "detection"), SIZE_MISMATCH)),
        *(make_trial(f"vit_{k}", "vit", (16,), failures={"detection": "no maps"}) for k in range(2)),
        Trial("broken", "odd", failures={"backbone": "it cannot be built"}),
    ]
    return format_document(results, minutes=3)


def test_document_counts(document: str) -> None:
    for line in (
        "| networks tried | 7 |",
        "| build with `features_only` | 6 (85.7%) |",
        "| have maps at strides 8, 16 and 32 | 4 (57.1%) |",
        "| **of these, work under all three heads** | **3 (75.0%)** |",
        "| of the working, take 320×320 as they are | 1 (33.3%) |",
        "| … with `image_size=[320, 320]` | 1 (33.3%) |",
        "| … not at all | 1 (33.3%) |",
        "| do not have the three strides, but work under the classifier | 2 (66.7%) |",
        "| families with a working network whose smallest also trains | 1 (100.0%) |",
    ):
        assert line in document.splitlines()


def test_document_names_failing_networks_by_reason(document: str) -> None:
    for line in (
        f"| segmentation, detection: {SIZE_MISMATCH} | 1 | inception_v3 |",
        "| stride 16 only | 2 | all 2 of *vit* |",
        "| backbone: it cannot be built | 1 | broken |",
        "| tried at 224×224 | 1 | resnet34 |",
        "| about 5 % of the parameters | 1 | resnet34 |",
    ):
        assert line in document.splitlines()


def test_document_has_a_row_for_each_family(document: str) -> None:
    assert "| resnet | 2 | 2 | 2 | 1 | 0 | resnet18: works |" in document.splitlines()
    assert "| vit | 2 | 0 | 0 | 0 | 0 |  |" in document.splitlines()


def test_document_names_versions_time_and_command(document: str) -> None:
    assert f"timm {timm.__version__}" in document
    assert f"PyTorch {torch.__version__.partition('+')[0]}" in document
    assert "3 minutes of processor time" in document
    assert COMMAND in document


def test_reasons_that_heads_share_are_given_once() -> None:
    result = make_trial("a", failures={"detection": "x.", "segmentation": "y", "classification": "x."})
    assert format_failures(result) == "detection, classification: x; segmentation: y"


def test_networks_are_named_unless_a_whole_family_is_meant() -> None:
    vits = [make_trial(f"v{k}", "h", (k,)) for k in (14, 16, 16)]
    families = group([make_trial("a", "f"), make_trial("b", "f"), make_trial("c", "g"), *vits], lambda t: t.family)
    assert format_names([*families["f"], *families["g"]], families) == "all 2 of *f*, c"
    assert format_names(families["f"][:1], families) == "a"
    assert format_names(families["h"][1:], families) == "2 of *h*"
    assert format_names(families["h"][:1], families) == "v14"


def test_empty_group_has_no_share() -> None:
    assert format_share([], []) == "0"
