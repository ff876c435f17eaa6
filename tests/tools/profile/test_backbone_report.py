"""`litmobile profile BACKBONE` reports layers that add up to its totals, maps, weights and activations."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones import Backbone
from litmobile.tools.backbones.report import OVERVIEW_CLOSING
from litmobile.tools.profile.backbone.families import shipped_families
from litmobile.tools.profile.counts import without_values

Facts = dict[str, Any]

#: one network of each family, and some with unusual layers
NETWORKS = [
    *(name for name, family in shipped_families().items() if family.variants),
    "MobileNetV2 --width=0.5 --output_stride=16 --size=320x240",
    "MobileNetV3 --variant=small --padding=same --size=97",
    "MobileViT --variant=xxs --size=288",
    "EffNet --extended=true",
    "timm/resnet18",
    "TimmBackbone --name=mobilenetv4_conv_small --size=64",
]
COSTS = ("parameters", "multiply_adds", "memory_access")


@pytest.fixture(scope="module", params=NETWORKS)
def network(
    request: pytest.FixtureRequest, profile: Callable[..., str], profile_facts: Callable[..., Facts]
) -> tuple[Facts, str]:
    """A network as JSON and as printed tables."""
    words = [*shlex.split(request.param), "--counts"]
    return profile_facts(*words)["targets"][0], profile(*words)


def build(backbone: Facts) -> Backbone:
    """Build the backbone that the facts describe."""
    with without_values():
        return shipped_families()[backbone["name"]](**backbone["arguments"]).eval()


def test_layer_costs_add_up_to_the_totals_of_pytorch(network: tuple[Facts, str]) -> None:
    facts, backbone = network[0], build(network[0]["backbone"])
    with without_values(), torch.no_grad(), FlopCounterMode(display=False) as flops:
        maps = backbone(torch.empty(1, 3, *facts["size"]))
    assert facts["backbone"]["multiply_adds"] == flops.get_total_flops() // 2
    assert facts["backbone"]["parameters"] == sum(parameter.numel() for parameter in backbone.parameters())
    for cost in COSTS:
        assert facts[cost] == sum(layer.get(cost, 0) for layer in facts["layers"])
    operations = [layer for layer in facts["layers"] if "kind" in layer]
    of_backbone = [layer for layer in operations if layer["layer"].startswith("backbone.")]
    assert facts["backbone"]["multiply_adds"] == sum(layer["multiply_adds"] for layer in of_backbone)
    for share in ("share_of_multiply_adds", "share_of_memory_access"):
        assert sum(layer[share] for layer in operations) == pytest.approx(1)
    for found in facts["backbone"]["feature_maps"]:
        assert (found["channels"], found["stride"]) == backbone.features[found["name"]]
        assert [found["channels"], *found["size"]] == list(maps[found["name"]].shape[1:])
        assert found["roles"] == [
            role for role, default_features in backbone.default_features.items() if found["name"] in default_features
        ]
    assert list(maps) == [found["name"] for found in facts["backbone"]["feature_maps"]]


def test_tables_equal_json(network: tuple[Facts, str]) -> None:
    facts, text = network
    lines = [line.split() for line in text.splitlines()]
    for layer in facts["layers"]:
        if "kind" in layer:
            figures = [f"{layer[cost]:,}" for cost in COSTS[:2]]
            shares = [f"{100 * layer[key]:.1f}" for key in ("share_of_multiply_adds", "share_of_memory_access")]
            output = "×".join(map(str, layer["output"]))
            assert [
                layer["layer"].removeprefix("backbone."),
                *layer["kind"].split(),
                output,
                *figures,
                *shares,
            ] in lines
    assert ["all", *(f"{facts[cost]:,}" for cost in COSTS[:2])] in lines
    assert [f"{facts[cost] / 1e6:.2f}" for cost in COSTS] in [line[-6:-3] for line in lines]
    for found in facts["backbone"]["feature_maps"]:
        row = [found["name"], f"{found['channels']:,}", str(found["stride"]), "×".join(map(str, found["size"]))]
        assert row in [line[:4] for line in lines]
    assert all(found["name"] in text for found in facts["backbone"]["weights"])
    for row in facts["backbone"]["activations"]:
        resolution = "×".join(map(str, row["resolution"]))
        line = next(line for line in lines if line and line[0] == resolution)
        assert {f"{row['anywhere']['channels']:,}", row["anywhere"]["layer"]} <= set(line)


def test_tables_fit_120_columns(network: tuple[Facts, str]) -> None:
    assert max(map(len, network[1].splitlines())) <= 120


def test_no_activation_between_blocks_exceeds_the_largest(network: tuple[Facts, str]) -> None:
    rows = network[0]["backbone"]["activations"]
    assert [row for row in rows if row["anywhere"]["kilobytes"] > 0] == rows
    for row in rows:
        assert row["between_blocks"] is None or row["between_blocks"]["channels"] <= row["anywhere"]["channels"]


def test_memory_access_follows_shufflenet_v2s_formula(profile_facts: Callable[..., Facts]) -> None:
    layers = profile_facts("ShuffleNetV1", "--groups=8", "--counts")["targets"][0]["layers"]
    grouped = [layer for layer in layers if layer.get("kind") == "conv 1×1 g8"]
    assert len(grouped) == 2 * 16 - 1  # two in each unit, except that the very first is not grouped
    for layer in grouped:
        (c1, h, w), (c2, *_) = layer["input"], layer["output"]
        assert layer["memory_access"] == h * w * (c1 + c2) + c1 * c2 // 8
        assert layer["multiply_adds"] == h * w * c1 * c2 // 8


@pytest.mark.parametrize(
    ("words", "parameters", "top1"),
    [
        ("MobileNetV3 --variant=small", 2_542_856, 67.4),
        ("MobileNetV3:variant=small", 2_542_856, 67.4),
        ("MobileNetV3 --variant=small --padding=same", 2_542_856, None),
        ("MobileNetV2", 3_504_872, 72.0),
    ],
)
def test_published_networks_have_their_classifier(
    words: str, parameters: int, top1: float | None, profile_facts: Callable[..., Facts]
) -> None:
    (target,) = profile_facts(*words.split(), "--counts")["targets"]
    assert (target["parameters"], target["classes"]) == (parameters, 1000)
    assert target["backbone"]["top1"] == top1


def test_weights_list_needed_arguments_or_the_nearest(profile: Callable[..., str]) -> None:
    words = ("MobileNetV3", "--variant=small", "--width=0.75", "--counts")
    (target,) = json.loads(profile(*words, "--json"))["targets"]
    needs = {found["name"]: found["arguments"] for found in target["backbone"]["weights"]}
    assert needs["mobilenetv3_small_075.lamb_in1k"] == {"norm_eps": 1e-5}
    assert needs["tf_mobilenetv3_small_075.in1k"] == {"padding": "same"}
    assert "tf_mobilenetv3_small_100.in1k" not in needs
    assert "_V2 would fit with width=1.0" in profile("MobileNetV2", "--width=0.6", "--counts")
    assert "weights: none are published" in profile("ShuffleNetV1", "--counts")


@pytest.mark.usefixtures("own_module")
def test_own_backbone_works_by_import_path(profile_facts: Callable[..., Facts]) -> None:
    (target,) = profile_facts("own_steps.Steps", "--depth=2", "--size=64", "--counts")["targets"]
    assert target["name"] == "own_steps.Steps(depth=2)"
    layers = [layer["multiply_adds"] for layer in target["layers"] if "kind" in layer]
    assert layers == [32 * 32 * 27 * 16, 16 * 16 * 144 * 16, 16 * 1000]
    assert [found["layer"] for found in target["backbone"]["feature_maps"]] == ["layers.0", "layers.1"]


def test_examples_below_the_overview_work(profile: Callable[..., str]) -> None:
    lines = [line.partition("  litmobile profile ") for line in OVERVIEW_CLOSING.splitlines()]
    examples = [example for _, _, example in lines if example]
    assert len(examples) == 3
    for example in examples[:2]:  # the third names a class that the reader writes
        assert "all" in profile(*shlex.split(example), "--counts")
