"""The figures of `litmobile backbones` match the papers, its tables match its JSON, and its layers their totals."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from litmobile.backbones import Backbone
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.errors import WeightsError
from litmobile.tools.backbones import command
from litmobile.tools.backbones.report import shipped_families
from litmobile.tools.cli import main
from litmobile.tools.profile.counts import without_values

Facts = dict[str, Any]

FAMILIES = {name: family for name, family in shipped_families().items() if family.variants}
#: one network of each family, and some with unusual layers
NETWORKS = [
    *FAMILIES,
    "MobileNetV2 --width=0.5 --output_stride=16 --size=320x240",
    "MobileNetV3 --variant=small --padding=same --in_channels=1 --size=97",
    "MobileViT --variant=xxs --size=288",
    "EffNet --extended=true",
    "TimmBackbone --name=resnet18",
    "TimmBackbone --name=mobilenetv4_conv_small --size=64",
]
CUSTOM = """
from litmobile.backbones.sequential import SequentialBackbone
from torch import nn

class Steps(SequentialBackbone):
    def __init__(self, depth: int, width: float = 1.0):
        super().__init__(width)
        if depth > 5:
            raise ValueError(f"depth ends at 5, not at {depth}.")
        for k in range(depth):
            self.append(nn.Conv2d(3 if k == 0 else 16, 16, 3, 2, 1))
            self.add_feature(f"c{k + 1}", 16, 2 ** (k + 1))

class Sized(Steps):
    def __init__(self, size: int = 1):
        super().__init__(size)

class Broken(Steps):
    def __init__(self):
        super().__init__(2)
        self.layers[1] = nn.Conv2d(3, 3, 1)
"""


def run_command(*words: str) -> str:
    """Run the command and return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(["backbones", *words])
    return out.getvalue()


@pytest.fixture(scope="module")
def overview_and_table() -> tuple[Facts, str]:
    """All variants as JSON by family and as printed tables; both use the same counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "family_facts", functools.cache(command.family_facts))
        facts = json.loads(run_command("--json"))
        return {family["name"]: family for family in facts["families"]}, run_command()


@pytest.fixture(scope="module")
def overview(overview_and_table: tuple[Facts, str]) -> Facts:
    return overview_and_table[0]


@pytest.fixture(scope="module")
def table(overview_and_table: tuple[Facts, str]) -> str:
    return overview_and_table[1]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> tuple[Facts, str]:
    """A network as JSON and as printed tables."""
    words = shlex.split(request.param)
    return json.loads(run_command(*words, "--json")), run_command(*words)


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module ``own_steps`` with custom backbones."""
    (tmp_path / "own_steps.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)


def build(facts: Facts) -> Backbone:
    """Build the network that the facts describe."""
    with without_values():
        return shipped_families()[facts["name"]](**facts["arguments"]).eval()


def format_arguments(arguments: Facts) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())


# -------------------------------------------------------------------------------------------------------- all networks


@pytest.mark.parametrize("name", FAMILIES)
def test_variant_costs_match_papers_and_references(name: str, overview: Facts) -> None:
    variants = overview[name]["variants"]
    assert len(variants) == len(FAMILIES[name].variants)
    for found, variant in zip(variants, FAMILIES[name].variants, strict=True):
        assert found["arguments"] == dict(variant.arguments)
        assert found["size"] == [variant.size, variant.size]
        assert found["top1"] == variant.top1
        if variant.parameters is None:
            assert found["with_classifier"] is None
        else:
            assert found["with_classifier"]["parameters"] == variant.parameters
            assert found["with_classifier"]["multiply_adds"] == pytest.approx(variant.multiply_adds * 1e6, abs=60_000)
            assert found["parameters"] < variant.parameters


def test_overview_table_equals_json(overview: Facts, table: str) -> None:
    lines = [line.split() for line in table.splitlines()]
    for family in overview.values():
        for variant in family["variants"]:
            whole = variant["with_classifier"] or {"parameters": None, "multiply_adds": None}
            figures = [(whole["parameters"], 2), (variant["parameters"], 2)]
            figures += [(whole["multiply_adds"], 1), (variant["multiply_adds"], 1)]
            row = [
                *(format_arguments(variant["arguments"]) or "defaults").split(),
                str(variant["size"][0]),
                "–" if variant["top1"] is None else f"{variant['top1']:.1f}",
                *("–" if value is None else f"{value / 1e6:.{digits}f}" for value, digits in figures),
                *(str(found["channels"]) for found in variant["feature_maps"]),
            ]
            assert row in [line[: len(row)] for line in lines], row
        for weights in family["weights"]:
            top1 = "–" if weights["top1"] is None else f"{weights['top1']:.2f}"
            assert [weights["name"], top1, *(format_arguments(weights["arguments"]) or "nothing").split()] in lines


def test_tables_fit_120_columns(table: str, network: tuple[Facts, str]) -> None:
    assert max(map(len, table.splitlines())) <= 120
    assert max(map(len, network[1].splitlines())) <= 120


@pytest.mark.parametrize("name", FAMILIES)
def test_published_weights_fit_with_the_given_arguments(name: str, overview: Facts) -> None:
    family = FAMILIES[name]
    assert issubclass(family, SequentialBackbone)
    of_variants = [
        (found, variant["arguments"]) for variant in overview[name]["variants"] for found in variant["weights"]
    ]
    for found, arguments in [*((found, {}) for found in overview[name]["weights"]), *of_variants]:
        with without_values():
            family(**arguments | found["arguments"]).check_published_weights(found["name"])
        for missing in found["arguments"]:
            given = {key: value for key, value in found["arguments"].items() if key != missing}
            with without_values(), pytest.raises(WeightsError, match=missing):
                family(**arguments | given).check_published_weights(found["name"])
    assert {found["name"] for found in overview[name]["weights"]} == set(family.published)
    shapes = set(family.shape_arguments)
    for variant in overview[name]["variants"]:  # a variant lists the weights that need no other shapes
        of_variant = {found["name"] for found in variant["weights"]}
        for found in overview[name]["weights"]:
            own = {key: value for key, value in found["arguments"].items() if key in shapes}
            assert (found["name"] in of_variant) == (own == variant["arguments"])


# --------------------------------------------------------------------------------------------------------- one network


def test_layer_costs_add_up_to_the_totals_of_pytorch(network: tuple[Facts, str]) -> None:
    facts, _ = network
    backbone = build(facts)
    with without_values(), torch.no_grad(), FlopCounterMode(display=False) as flops:
        maps = backbone(torch.empty(1, facts["arguments"].get("in_channels", 3), *facts["size"]))
    layers = facts["layers"]
    assert facts["multiply_adds"] == sum(layer["multiply_adds"] for layer in layers) == flops.get_total_flops() // 2
    assert facts["memory_access"] == sum(layer["memory_access"] for layer in layers)
    assert facts["parameters"] == sum(parameter.numel() for parameter in backbone.parameters())
    assert facts["parameters"] == sum(layer["parameters"] for layer in layers) + facts["other_parameters"]
    for found in facts["feature_maps"]:
        assert (found["channels"], found["stride"]) == backbone.features[found["name"]]
        assert [found["channels"], *found["size"]] == list(maps[found["name"]].shape[1:])
        assert found["roles"] == [
            role for role, default_features in backbone.default_features.items() if found["name"] in default_features
        ]
    assert list(maps) == [found["name"] for found in facts["feature_maps"]]


def test_network_tables_equal_json(network: tuple[Facts, str]) -> None:
    facts, text = network
    lines = [line.split() for line in text.splitlines()]
    for layer in facts["layers"]:
        shapes = ["×".join(map(str, layer[key])) for key in ("input", "output")]
        figures = [f"{layer[key]:,}" for key in ("parameters", "multiply_adds", "memory_access")]
        assert [layer["layer"], *layer["kind"].split(), *shapes, *figures] in lines
    assert ["all", *(f"{facts[key]:,}" for key in ("parameters", "multiply_adds", "memory_access"))] in lines
    for found in facts["feature_maps"]:
        row = [found["name"], f"{found['channels']:,}", str(found["stride"]), "×".join(map(str, found["size"]))]
        assert row in [line[:4] for line in lines]
    for found in facts["weights"]:
        assert found["name"] in text
    for row in facts["activations"]:
        resolution = "×".join(map(str, row["resolution"]))
        line = next(line for line in lines if line and line[0] == resolution)
        assert {f"{row['anywhere']['channels']:,}", row["anywhere"]["layer"]} <= set(line)


def test_no_activation_between_blocks_exceeds_the_largest(network: tuple[Facts, str]) -> None:
    rows = network[0]["activations"]
    assert [row for row in rows if row["anywhere"]["kilobytes"] > 0] == rows
    for row in rows:
        assert row["between_blocks"] is None or row["between_blocks"]["channels"] <= row["anywhere"]["channels"]


def test_memory_access_follows_shufflenet_v2s_formula() -> None:
    facts = json.loads(run_command("ShuffleNetV1", "--groups=8", "--json"))
    grouped = [layer for layer in facts["layers"] if layer["kind"] == "conv 1×1 g8"]
    assert len(grouped) == 2 * 16 - 1  # two in each unit, except that the very first is not grouped
    for layer in grouped:
        (c1, h, w), (c2, *_) = layer["input"], layer["output"]
        assert layer["memory_access"] == h * w * (c1 + c2) + c1 * c2 // 8
        assert layer["multiply_adds"] == h * w * c1 * c2 // 8


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("MobileViT --variant=xs", [256, 256]),
        ("EffNet", [32, 32]),
        ("EffNet --width=0.5", [32, 32]),
        ("EffNet --extended=true --width=0.5", [224, 224]),
        ("TimmBackbone --name=resnet18", [224, 224]),
        ("EffNet --size 320", [320, 320]),
        ("EffNet --size 320 240", [320, 240]),
        ("EffNet --size=320x240", [320, 240]),
        ("EffNet --size 320×240", [320, 240]),
    ],
)
def test_size_is_the_published_or_the_given_one(words: str, size: list[int]) -> None:
    assert json.loads(run_command(*shlex.split(words), "--json"))["size"] == size


def test_published_network_has_its_classifier_and_accuracy() -> None:
    facts = json.loads(run_command("MobileNetV3", "--variant=small", "--json"))
    assert facts["with_classifier"]["parameters"] == 2_542_856
    assert facts["with_classifier"]["options"] == {"hidden_dim": 1024}
    assert (facts["top1"], facts["published_size"]) == (67.4, 224)
    otherwise = json.loads(run_command("MobileNetV3", "--variant=small", "--padding=same", "--json"))
    assert otherwise["with_classifier"] == facts["with_classifier"]
    assert otherwise["top1"] is None
    assert json.loads(run_command("MobileNetV3", "--width=0.9", "--json"))["with_classifier"] is None


def test_weights_list_needed_arguments_or_the_nearest() -> None:
    facts = json.loads(run_command("MobileNetV3", "--variant=small", "--width=0.75", "--json"))
    needs = {found["name"]: found["arguments"] for found in facts["weights"]}
    assert needs["mobilenetv3_small_075.lamb_in1k"] == {"norm_eps": 1e-5}
    assert needs["tf_mobilenetv3_small_075.in1k"] == {"padding": "same"}
    assert "tf_mobilenetv3_small_100.in1k" not in needs
    assert "_V2 would fit with width=1.0" in run_command("MobileNetV2", "--width=0.6")
    assert "weights: none are published" in run_command("ShuffleNetV1")
    assert "resnet18.a1_in1k" in run_command("TimmBackbone", "--name=resnet18")


@pytest.mark.usefixtures("own_module")
def test_custom_backbone_works_by_import_path() -> None:
    facts = json.loads(run_command("own_steps.Steps", "--depth=2", "--size=64", "--json"))
    assert facts["arguments"] == {"depth": 2}
    assert [layer["multiply_adds"] for layer in facts["layers"]] == [32 * 32 * 27 * 16, 16 * 16 * 144 * 16]
    assert [found["layer"] for found in facts["feature_maps"]] == ["layers.0", "layers.1"]
    assert "Steps(depth=2)" in run_command("own_steps.Steps", "--depth=2", "--size=64")


# --------------------------------------------------------------------------------------------------- wrong options


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("MobilNetV2", "There is no backbone 'MobilNetV2'; did you mean MobileNetV2? Choose one of EffNet, "),
        ("Backbone", "There is no backbone 'Backbone'"),
        ("nowhere.Mine", "nowhere.Mine cannot be imported: No module named 'nowhere'"),
        ("own_steps.Mine", "own_steps.Mine cannot be imported: "),
        ("torch.nn.Conv2d", "torch.nn.Conv2d is not a backbone"),
        ("litmobile.backbones.Backbone", "litmobile.backbones.Backbone is not a backbone"),
        ("own_steps.Sized", "Sized has an argument 'size'"),
        ("own_steps.Steps", "--depth is required."),
        ("own_steps.Steps --depth=6", "depth ends at 5, not at 6."),
        ("own_steps.Broken", "Broken() does not take images of 224×224 pixels: "),
        ("MobileNetV2 --widht=0.5", "--widht is not an option; did you mean --width?"),
        ("MobileNetV2 --wid 0.5", "--wid is not an option; did you mean --width?"),
        ("MobileNetV2 320", "320 is not an option."),
        ("MobileNetV2 --width=wide", "--width takes a number, not wide."),
        ("MobileNetV2 --width", "--width needs a value."),
        ("MobileNetV2 --width=0", "width must be greater than 0 and finite, not 0"),
        ("MobileNetV2 --output_stride=4", "output_stride must be 8, 16 or 32, not 4."),
        ("MobileNetV3 --variant=huge", "--variant takes large or small, not huge."),
        ("MobileNetV3 --activation=gelu", "or leaky_relu, not gelu."),
        ("MobileNetV3 --minimalistic=maybe", "--minimalistic takes true or false, not maybe."),
        ("ShuffleNetV1 --groups=8 --width=0.25", "use stem=8 or stem=16"),
        ("TimmBackbone", "--name is required."),
        ("TimmBackbone --name=resnet", "did you mean resnet"),
        ("MobileNetV2 --size=31", "--size must be at least 32 pixels, the stride of the coarsest maps, not 31."),
        ("MobileNetV2 --size 320 16", "--size must be at least 32 pixels"),
        ("MobileNetV2 --size=big", "such as 320 or 320x240, not 'big'."),
        ("MobileNetV2 --size 1 2 3", "such as 320 or 320x240, not '1 2 3'."),
        ("MobileNetV2 --size", "--size needs a value."),
        ("MobileNetV2 --json=yes", "--json takes no value."),
        ("TimmBackbone --name=resnet18 --image_size=x", "--image_size takes Sequence[int], not x."),
        ("--jsn", "takes --json, or a family and its options, but not '--jsn' here."),
        ("--json MobileNetV2", "or a family and its options, but not 'MobileNetV2' here."),
    ],
)
def test_wrong_options_give_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(SystemExit) as refused:
        run_command(*shlex.split(words))
    message = refused.value.code
    assert isinstance(message, str)  # exits with status 1
    assert sentence in message
    assert message.startswith("litmobile: ")
    assert "\n" not in message


def test_help_lists_options(capsys: pytest.CaptureFixture[str]) -> None:
    for words, options in (([], ["--json"]), (["MobileNetV3"], ["--variant", "--width", "--size", "--json"])):
        with pytest.raises(SystemExit) as done:
            main(["backbones", *words, "--help"])
        assert done.value.code == 0
        text = capsys.readouterr().out
        assert all(option in text for option in options)
    main(["--help"])
    assert "litmobile backbones MobileNetV2 --width 0.5 --size 320" in capsys.readouterr().out


def test_examples_below_the_overview_work(table: str) -> None:
    examples = [
        line.partition("litmobile backbones ")[2] for line in table.splitlines() if "litmobile backbones " in line
    ]
    assert len(examples) == 3
    for example in examples[:2]:  # the third names a class that the reader writes
        assert "Layer by layer" in run_command(*shlex.split(example))


def test_lightning_is_not_imported() -> None:
    script = (
        "import sys; from litmobile.tools.cli import main; main(['backbones', 'EffNet']); "
        "assert not any(name.startswith('lightning') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
