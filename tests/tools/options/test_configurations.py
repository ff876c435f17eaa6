"""Options of replaced classes are dropped; options that both classes inherit from one base stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from litmobile.tools.cli import main
from litmobile.tools.options.configurations import merge_configurations

CAMVID = ["--config", "segmentation/lraspp_camvid"]
FINETUNE = ["--config", "classification/finetune"]
COCO = ["--config", "detection/ssdlite_coco"]


def print_config(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(["fit", *words, "--print_config"])
    assert done.value.code in (0, None)
    return yaml.safe_load(capsys.readouterr().out)


def get_init_args(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        config = config["init_args"][key] if "init_args" in config else config[key]
    return config["init_args"]


def test_options_of_a_replaced_head_are_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = {"class_path": "litmobile.heads.LRASPP", "init_args": {"norm_eps": 0.01, "channels": 99}}
    file = tmp_path / "head.yaml"
    file.write_text(yaml.safe_dump({"model": {"init_args": {"head": head}}}))
    words = [*CAMVID, "--config", str(file)]
    assert get_init_args(print_config(capsys, *words), "model", "head")["channels"] == 99
    replaced = get_init_args(print_config(capsys, *words, "--model.head=RASPP"), "model", "head")
    assert (replaced["norm_eps"], replaced["channels"]) == (1e-5, 256)
    given = get_init_args(
        print_config(capsys, *words, "--model.head=RASPP", "--model.head.norm_eps=0.1"), "model", "head"
    )
    assert (given["norm_eps"], given["channels"]) == (0.1, 256)


def test_options_of_a_class_need_no_init_args(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {batch_size: 3}\nmodel: {head: {channels: 99}, warmup_steps: 5}\n")
    config = print_config(capsys, *CAMVID, "--config", str(file))
    assert get_init_args(config, "data")["batch_size"] == 3
    assert get_init_args(config, "model")["warmup_steps"] == 5
    assert get_init_args(config, "model", "head")["channels"] == 99


def test_a_class_without_options_takes_those_of_a_later_file(tmp_path: Path) -> None:
    files = [tmp_path / "first.yaml", tmp_path / "second.yaml"]
    files[0].write_text("model: {class_path: litmobile.tasks.detection.DetectionTask}")
    files[1].write_text("model: {init_args: {warmup_steps: 5}}")
    assert merge_configurations(files, [])["model"]["init_args"] == {"warmup_steps": 5}


def test_restating_a_class_keeps_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    backbone = get_init_args(print_config(capsys, *CAMVID, "--model.backbone=MobileNetV3"), "model", "backbone")
    assert (backbone["output_stride"], backbone["norm_momentum"]) == (16, 0.05)


@pytest.mark.parametrize("flag", ["--model.backbone=MobileNetV2", "--model.backbone.class_path=MobileNetV2"])
def test_options_of_a_replaced_backbone_are_dropped(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = get_init_args(print_config(capsys, *CAMVID, flag), "model", "backbone")
    assert (backbone["output_stride"], backbone["norm_momentum"]) == (32, 0.1)


def test_another_data_set_keeps_inherited_options_only(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*COCO, "--data.batch_size=7", "--data.val_fraction=0.3"]
    data = get_init_args(print_config(capsys, *COCO, "--data=VocDetection", "--data.root=x"), "data")
    assert (data["batch_size"], data["num_workers"]) == (24, 8)
    assert data["augmentation"]["class_path"].endswith("SSDAugmentation")
    assert (data["train"], data["format"], data["root"]) == (None, None, "x")
    words = [*FINETUNE, "--data.root=x", "--data=ListClassification"]
    assert get_init_args(print_config(capsys, *words), "data")["train"] == "train.csv"


def test_defaults_of_a_replaced_optimizer_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model=DetectionTask", "--model.backbone=MobileNetV2", "--data=CocoDetection", "--data.root=x"]
    optimizer = get_init_args(print_config(capsys, *words, "--model.optimizer=AdamW"), "model", "optimizer")
    assert (optimizer["lr"], optimizer["weight_decay"]) == (0.001, 0.01)


def test_a_later_file_replaces_a_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("model:\n  init_args:\n    backbone: ShuffleNetV2\n    feature_maps: null\n")
    backbone = print_config(capsys, *CAMVID, "--config", str(file))["model"]["init_args"]["backbone"]
    assert backbone["class_path"].endswith("ShuffleNetV2")
    assert backbone["init_args"]["output_stride"] == 32


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: {backbone: {class_path: 5}}", "class_path must be the name of a class, not 5"),
        ("model: {backbone: {class_path: [a]}}", "class_path must be the name of a class, not ['a']"),
        ("model: {backbone: {class_path: MobileNetV2, init_args: [1]}}", "init_args must have options below it"),
        ("data: {augmentation: {extra: [{class_path: null}]}}", "class_path must be the name of a class, not None"),
        ("model: {backbone: {class_path: MobileNetV2, dict_kwargs: {a: 1}}}", "MobileNetV2 with dict_kwargs"),
        ("model: {optimizer: {class_path: torch.optim.SGD, dict_kwargs: {a: 1}}}", "write its options below init_args"),
        ("config: other.yaml", "a configuration cannot name another one"),
        ("model: {warmup_steps: null}", "DetectionTask needs a value for warmup_steps, not null"),
        ("trainer: {max_steps: null}", "--trainer.max_steps needs a value, not null"),
        ("model: {backbone: [1]}", "--model.backbone takes Backbone, not [1]"),
        ("model: {backbone: litmobile.backbones.Backbone}", "it is abstract"),
        ('model: {backbone: "a\\nb"}', "--model.backbone: there is no class 'a\\nb'"),
        ("model: {optimizer: 5}", "--model.optimizer cannot use 5"),
        ("model: {preprocessing: {class_path: os.system}}", "--model.preprocessing.class_path is not an option"),
        ("model: 5", "--model takes Task, not 5"),
        ("model.backbone.width: 1", "write the parts of the key model.backbone.width below each other"),
        ("trainer: null", "trainer must have options below it"),
        ("trainer: [1]", "trainer must have options below it"),
    ],
)
def test_odd_files_are_refused_in_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    flags = ["--data.root=x", "--run", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as refused:
        main(["fit", "--config", "detection/ssdlite_shapes", "--config", str(tmp_path / "odd.yaml"), *flags])
    message = str(refused.value.code)
    assert words in message and "\n" not in message and message.endswith((".", "?"))
