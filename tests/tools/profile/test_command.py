"""`litmobile profile` measures runs, recipes and backbones beside a reference, and explains wrong options."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.backbones import TimmBackbone
from litmobile.tasks.network import load
from litmobile.tools.cli import main
from litmobile.tools.profile.counts import without_values
from support.families import count_parameters
from support.pages import Page

Facts = dict[str, Any]
QUICK = ("--seconds=0.01", "--batch=2")


def test_several_networks_are_compared_with_the_first(profile_facts: Callable[..., Facts]) -> None:
    words = ("EffNet", "MobileNetV3:variant=small,width=0.35", "--size=64", "--engines", "eager,bf16")
    facts = profile_facts(*words, *QUICK)
    names = ["EffNet", "MobileNetV3(variant='small', width=0.35)"]
    assert [target["name"] for target in facts["targets"]] == names
    assert facts["reference"] == {"name": "EffNet", "engine": "eager"}
    assert [(row["name"], row["engine"]) for row in facts["latency"]] == [
        (n, e) for n in names for e in ("eager", "bf16")
    ]
    assert facts["latency"][0]["ratio"] == 1 and facts["latency"][0]["ratio_interval"] == [1, 1]
    for row in facts["latency"]:
        low, high = row["milliseconds_interval"]
        assert 0 < low <= row["milliseconds"] <= high <= row["milliseconds_p95"]
        assert row["ratio_interval"][0] <= row["ratio"] <= row["ratio_interval"][1]
        assert row["images_per_second_interval"][0] <= row["images_per_second"] <= row["images_per_second_interval"][1]
        assert row["rounds"] >= 6 and row["batch"] == 2 and row["file_bytes"] is None
    for target in facts["targets"]:
        assert target["measured_activation_bytes"] == pytest.approx(target["predicted_activation_bytes"], rel=0.15)
        assert target["weight_bytes"] >= 4 * target["parameters"]
        assert "layers" not in target
    assert facts["machine"]["threads"] == 1 and facts["machine"]["name"]


def test_a_reference_of_another_network_is_measured_too(profile_facts: Callable[..., Facts]) -> None:
    words = ("EffNet", "--size=64", "--engines=bf16", "--reference=torchvision/shufflenet_v2_x0_5")
    facts = profile_facts(*words, *QUICK)
    assert facts["reference"] == {"name": "torchvision/shufflenet_v2_x0_5", "engine": "eager"}
    assert [row["engine"] for row in facts["latency"]] == ["bf16", "eager"]
    assert facts["latency"][1]["ratio"] == 1
    timed = [row for row in facts["targets"][0]["layers"] if "share_of_time" in row]
    assert sum(row["share_of_time"] or 0 for row in timed) == pytest.approx(1)


def test_a_recipe_takes_options_of_its_model(profile_facts: Callable[..., Facts]) -> None:
    words = ("detection/ssdlite_coco", "--model.backbone=MobileNetV2", "--model.backbone.width", "0.35", "--counts")
    (target,) = profile_facts(*words)["targets"]
    assert target["network"] == "SSDLite on MobileNetV2" and not target["is_trained"]
    assert (target["classes"], target["size"]) == (80, [320, 320])
    (fewer,) = profile_facts(*words, "--classes=3")["targets"]
    assert fewer["classes"] == 3 and fewer["parameters"] < target["parameters"]


@pytest.mark.parametrize(("name", "is_changed"), [("repghostnet_050", True), ("resnet18", False)])
def test_timm_networks_have_their_form_for_deployment(name: str, is_changed: bool, profile: Callable[..., str]) -> None:
    words = (f"timm/{name}", "--size=64", "--counts")
    (target,) = json.loads(profile(*words, "--json"))["targets"]
    assert target["is_reparameterized"] == is_changed
    with without_values():
        trained = count_parameters(TimmBackbone(name))
    deployed = sum(layer["parameters"] for layer in target["layers"] if layer["layer"].startswith("backbone."))
    assert (target["backbone"]["parameters"] < trained) == is_changed
    assert deployed <= target["backbone"]["parameters"]
    assert ("Counted and measured in the form for deployment: " in profile(*words)) == is_changed


def test_threads_are_limited_only_while_it_runs(profile: Callable[..., str]) -> None:
    before = torch.get_num_threads()
    profile("EffNet", "--counts", f"--threads={before + 1}")
    assert torch.get_num_threads() == before


def test_an_evaluated_run_is_drawn_against_its_latency(run: Path, tmp_path: Path, profile: Callable[..., str]) -> None:
    main(["validate", "--run", str(run)])
    svg, page = tmp_path / "chart.svg", tmp_path / "page.html"
    facts = json.loads(profile(str(run), *QUICK, "--json", "--svg", str(svg), "--page", str(page)))
    (target,) = facts["targets"]
    assert target["is_trained"] and target["evaluation"]["figure"] == "AP"
    assert target["parameters"] == sum(x.numel() for x in load(run).parameters())
    low, high = target["evaluation"]["interval"]
    assert low <= target["evaluation"]["value"] <= high
    for content in (svg.read_text(), page.read_text()):
        assert f"{run.name}, eager" in content and "AP on val" in content
    assert svg.read_text().startswith("<svg ") and 'xmlns="http://www.w3.org/2000/svg"' in svg.read_text()
    assert Page(page.read_text()).problems == []


@pytest.mark.usefixtures("own_module")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "litmobile profile needs a target before the options: the folder of a run, a recipe, "),
        ("--json EffNet", "litmobile profile needs a target before the options"),
        ("MobilNetV2", "The target 'MobilNetV2' is unknown; did you mean MobileNetV2? Pass the folder of a run"),
        ("detection/ssdlite_coc", "did you mean detection/ssdlite_coco?"),
        ("runs/none", "The target 'runs/none' is unknown."),
        ("nowhere.Mine", "nowhere.Mine cannot be imported: No module named 'nowhere'"),
        ("own_steps.Mine", "own_steps.Mine cannot be imported: "),
        ("torch.nn.Conv2d", "torch.nn.Conv2d is not a backbone"),
        ("litmobile.backbones.Backbone", "litmobile.backbones.Backbone is not a backbone"),
        ("own_steps.Sized", "Sized has an argument 'size'"),
        ("own_steps.Steps", "--depth is required."),
        ("own_steps.Steps --depth=6", "depth ends at 5, not at 6."),
        ("own_steps.Broken", "own_steps.Broken does not take images of 224×224 pixels: "),
        ("EffNet EffNet", "The target EffNet is given twice."),
        ("MobileNetV2 --widht=0.5", "--widht is not an option; did you mean --width?"),
        ("MobileNetV2 --wid 0.5", "--wid is not an option; did you mean --width?"),
        ("MobileNetV2:widht=0.5", "--widht is not an option; did you mean --width?"),
        ("MobileNetV2 EffNet --width=0.5", "--width is not an option"),
        ("MobileNetV2 --width=wide", "--width takes a number, not wide."),
        ("MobileNetV2 --width", "--width needs a value."),
        ("MobileNetV2 --width=0", "width must be greater than 0 and finite, not 0"),
        ("MobileNetV2 --output_stride=4", "output_stride must be 8, 16 or 32, not 4."),
        ("MobileNetV2 --in_channels=1", "Networks take images with 3 channels, not 1."),
        ("MobileNetV3 --variant=huge", "--variant takes large or small, not huge."),
        ("MobileNetV3 --minimalistic=maybe", "--minimalistic takes true or false, not maybe."),
        ("TimmBackbone", "--name is required."),
        ("timm/resnet", "did you mean resnet"),
        ("MobileNetV2 --size=31", "--size must be at least 32 pixels, the stride of the coarsest maps, not 31."),
        ("MobileNetV2 --size=big", "such as 320 or 240x320, not 'big'."),
        ("MobileNetV2 --size", "--size needs a value."),
        ("MobileNetV2 --json=yes", "--json takes no value."),
        ("MobileNetV2 --engines eagr", "--engines: eagr is unknown; did you mean eager? Choose among eager, compiled"),
        ("MobileNetV2 --threads=0", "--threads must be at least 1, not 0."),
        ("MobileNetV2 --batch=0", "--batch must be at least 1, not 0."),
        ("MobileNetV2 --seconds=0", "--seconds must be greater than 0, not 0."),
        ("MobileNetV2 --classes=1", "--classes must be at least 2, not 1."),
        ("MobileNetV2 --counts --svg=a.svg", "--counts measures nothing, so leave out --svg."),
        ("MobileNetV2 --model.backbone=EffNet", "--model.backbone needs a recipe among the targets."),
        ("cells.onnx", "cells.onnx is an exported file; pass the run that it comes from"),
        ("detection/ssdlite_coco --model.backbone=Mobil", "--model.backbone: there is no class Mobil; choose among"),
        ("EffNet --reference=EffNett --seconds=0.01", "The target 'EffNett' is unknown; did you mean EffNet?"),
        ("EffNet --reference=torchvision/resnet1 --seconds=0.01", "torchvision has no network 'resnet1'; did you mean"),
        ("EffNet --size=32 --seconds=0.01 --svg=a.svg", "--svg needs runs that were evaluated"),
    ],
)
def test_wrong_options_give_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["profile", *shlex.split(words)])
    message = refused.value.code
    assert isinstance(message, str)  # exits with status 1
    assert sentence in message
    assert message.startswith("litmobile: ")
    assert "\n" not in message


def test_help_lists_options(capsys: pytest.CaptureFixture[str]) -> None:
    for words, options in (([], ["--engines", "--json"]), (["MobileNetV3"], ["--variant", "--width", "--size"])):
        with pytest.raises(SystemExit) as done:
            main(["profile", *words, "--help"])
        assert done.value.code == 0
        text = capsys.readouterr().out
        assert all(option in text for option in options)
    main(["--help"])
    assert "litmobile profile MobileNetV2 --width 0.5 --size 320" in capsys.readouterr().out
