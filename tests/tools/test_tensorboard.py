"""TensorBoard shows the images of validations and the hyper-parameters of a training."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.metadata import EXPERIMENT_TAG, PLUGIN_NAME, SESSION_START_INFO_TAG
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # type: ignore[attr-defined]

from litmobile.tools.cli import main
from litmobile.tools.run_config import flatten_config
from support.cli import TINY, run_fit
from support.data.images import write_class_folders


def read_events(run: Path) -> EventAccumulator:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def read_hyperparameters(events: EventAccumulator) -> tuple[dict[str, Any], list[str]]:
    """Read the hyper-parameters and the names of the metrics that the HPARAMS tab shows."""
    content = events.PluginTagToContent(PLUGIN_NAME)
    start = HParamsPluginData.FromString(content[SESSION_START_INFO_TAG]).session_start_info
    experiment = HParamsPluginData.FromString(content[EXPERIMENT_TAG]).experiment
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    return values, [metric.name.tag for metric in experiment.metric_infos]


def decode_image(events: EventAccumulator, name: str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(events.Images(name)[-1].encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


@pytest.fixture(scope="module")
def detector(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, resumed for a third with another batch size."""
    run = tmp_path_factory.mktemp("runs") / "detector"
    run_fit(shapes, "--run", str(run))
    main(["fit", "--run", str(run), "--trainer.max_epochs=3", "--data.batch_size=5"])
    return run


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("runs")
    for split, images in (("train", 12), ("val", 6)):
        write_class_folders(folder / "data" / split, images)
    data = ["--model=ClassificationTask", "--data=FolderClassification", f"--data.root={folder / 'data'}"]
    main(["fit", *data, *TINY, "--trainer.max_epochs=1", "--run", str(folder / "run")])
    return folder / "run"


def test_every_validation_has_its_images(detector: Path) -> None:
    """An image belongs to the step of the validation's figures, and a resumed run keeps the earlier ones."""
    events = read_events(detector)
    assert events.Tags()["images"] == ["val/predictions"]
    steps = [image.step for image in events.Images("val/predictions")]
    assert steps == [point.step for point in events.Scalars("val/AP")] and len(steps) == 3


def test_the_image_is_the_sheet_of_the_run(detector: Path) -> None:
    sheet = cv2.imread(str(sorted((detector / "images").glob("val-*.jpg"))[-1]), cv2.IMREAD_COLOR)
    shown = decode_image(read_events(detector), "val/predictions")
    assert sheet is not None and max(shown.shape) == min(max(sheet.shape), 1600)
    resized = cv2.resize(sheet, shown.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(resized.astype(int) - shown).mean() < 4


def test_images_of_the_report_are_shown(classifier: Path) -> None:
    events = read_events(classifier)
    assert sorted(events.Tags()["images"]) == ["val/confusion", "val/predictions"]
    stored = cv2.imread(str(classifier / "images" / "val-confusion.png"), cv2.IMREAD_COLOR)
    assert stored is not None and decode_image(events, "val/confusion").shape == stored.shape


def test_hyperparameters_are_the_configuration(detector: Path) -> None:
    """A resumed run has those of its last start."""
    values, metrics = read_hyperparameters(read_events(detector))
    assert metrics == ["val/AP"]
    assert values["model"].endswith("DetectionTask") and values["model.backbone"].endswith("MobileNetV2")
    assert values["model.backbone.width"] == 0.35 and values["model.preprocessing.size"] == "[64, 64]"
    assert values["trainer.max_epochs"] == 3 and values["data.batch_size"] == 5 and values["seed_everything"] == 0
    assert values["model.channels_last"] == "true"
    assert values.keys() == flatten_config(yaml.safe_load((detector / "config.yaml").read_text())).keys()


@pytest.mark.parametrize("role", ["detector", "classifier"])
def test_hyperparameters_add_no_points_to_curves(role: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(role)
    events, history = read_events(run), json.loads((run / "metrics.json").read_text())
    assert "hp_metric" not in events.Tags()["scalars"]
    (metric,) = read_hyperparameters(events)[1]
    assert [point.value for point in events.Scalars(metric)] == pytest.approx([entry[metric] for entry in history])


def test_other_loggers_get_the_hyperparameters_once(shapes: Path, tmp_path: Path) -> None:
    logger = ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={tmp_path / 'logs'}"]
    run_fit(shapes, "--run", str(tmp_path / "run"), "--trainer.max_epochs=1", *logger)
    (file,) = (tmp_path / "logs").rglob("hparams.yaml")
    values = yaml.safe_load(file.read_text())
    assert values["model.backbone.width"] == 0.35 and values["model.channels_last"] is True
    (table,) = (tmp_path / "logs").rglob("metrics.csv")
    with table.open(newline="") as opened:
        assert "model.backbone.width" not in next(csv.reader(opened))


@pytest.mark.parametrize(
    ("config", "flat"),
    [
        ({"a": 1, "b": {"c": 0.5, "d": None}}, {"a": 1, "b.c": 0.5}),
        ({"m": {"class_path": "x.Y", "init_args": {"z": True}}}, {"m": "x.Y", "m.z": True}),
        ({"m": {"class_path": "x.Y", "init_args": None}}, {"m": "x.Y"}),
        ({"s": [1, 2], "t": [{"class_path": "x.Y"}]}, {"s": "[1, 2]", "t": "[{'class_path': 'x.Y'}]"}),
        ({}, {}),
    ],
)
def test_a_configuration_is_flattened_to_its_options(config: dict[str, Any], flat: dict[str, Any]) -> None:
    assert flatten_config(config) == flat
