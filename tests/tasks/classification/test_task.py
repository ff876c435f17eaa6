"""Training a classifier from the command line: it learns, and writes figures, tables and images."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import litmobile
from litmobile.backbones import MobileNetV2
from litmobile.heads import SSDLite
from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tools.cli import main
from support.data.images import write_class_folders

CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox")
WORDS = [
    "--model=ClassificationTask",
    "--model.backbone=MobileNetV2",
    "--model.backbone.width=0.5",
    "--model.backbone.norm_momentum=0.3",
    "--model.preprocessing.size=[32,32]",
    "--model.optimizer=AdamW",
    "--model.optimizer.lr=1e-2",
    "--model.optimizer.weight_decay=4e-5",
    "--model.warmup_steps=2",
    "--data=FolderClassification",
    "--data.batch_size=12",
    "--data.num_workers=0",
    "--data.augmentation=ShiftAugmentation",
    "--data.augmentation.pixels=2",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
    "--trainer.check_val_every_n_epoch=18",
]


@pytest.fixture(scope="module")
def images_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "images"
    for split, images in (("train", 72), ("val", 24), ("test", 12)):
        write_class_folders(root / split, images, CLASSES)
    return root


@pytest.fixture(scope="module")
def run(images_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned to distinguish six grey values."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    main(["fit", *WORDS, f"--data.root={images_root}", f"--run={folder}", "--trainer.max_epochs=18"])
    return folder


def test_training_learns(run: Path) -> None:
    figures = json.loads((run / "val.json").read_text())["figures"]
    assert figures["top1"] > 0.7
    assert figures["top1"] <= figures["top5"] <= 1
    assert figures["mean_recall"] == pytest.approx(figures["top1"])  # the classes have equal numbers of images
    assert 0 <= figures["calibration_error"] < 1


def test_table_and_figures_agree(run: Path) -> None:
    report = json.loads((run / "val.json").read_text())
    with (run / "val-confusion.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == list(CLASSES) == [row[0] for row in rows]
    counts = torch.tensor([[int(cell) for cell in row[1:]] for row in rows])
    assert counts.sum(1).tolist() == [4] * 6
    assert counts.diagonal().sum().item() / 24 == pytest.approx(report["figures"]["top1"])
    for k, name in enumerate(CLASSES):
        assert report["per_class"][name]["recall"] == pytest.approx(counts[k, k].item() / 4)
    assert f"{report['figures']['top1']:.4f}" in (run / "val.txt").read_text()


def test_first_batch_and_matrix_are_drawn(run: Path) -> None:
    names = {path.name for path in (run / "images").iterdir() if path.is_file()}
    assert "val-confusion.png" in names and any(name.startswith("val-0000108") for name in names)
    for name in names:
        image = cv2.imread(str(run / "images" / name))
        assert image is not None and image.std() > 5


def test_the_stored_network_predicts_as_evaluated(run: Path, images_root: Path) -> None:
    network = litmobile.load(run)
    files = sorted((images_root / "val").glob("*/*.png"))
    correct = sum(network.classes[int(network.predict(file).scores.argmax())] == file.parent.name for file in files)
    assert correct / len(files) == json.loads((run / "val.json").read_text())["figures"]["top1"]


def test_test_reads_the_test_split(run: Path) -> None:
    main(["test", "--run", str(run)])
    report = json.loads((run / "test.json").read_text())
    assert report["images"] == 12
    assert (run / "test-confusion.csv").is_file() and (run / "images" / "test-confusion.png").is_file()


def test_classes_alternate_in_an_evaluation(images_root: Path) -> None:
    data = FolderClassification(str(images_root), num_workers=0)
    data.setup("fit")
    assert data.splits["val"].labels.tolist() == list(range(6)) * 4
    assert sorted(data.splits["val"].names.tolist()) == sorted(data.read("val").names.tolist())
    uneven = data.splits["val"].take(data.splits["val"].labels < 3)
    uneven = uneven.take((uneven.labels != 1) | (np.arange(len(uneven)) < 3)).in_evaluation_order()
    assert uneven.labels.tolist() == [0, 1, 2, 0, 2, 0, 2, 0, 2]
    assert [name.split("/")[0] for name in uneven.names] == [CLASSES[k] for k in uneven.labels]


def test_preprocessing_crops_by_default() -> None:
    assert ClassificationTask(MobileNetV2(0.35)).preprocessing == Preprocessing((224, 224), "crop")


def test_cropped_images_are_only_for_classifiers(assert_one_sentence: Any) -> None:
    with pytest.raises(ValueError, match="crop") as caught:
        Network(MobileNetV2(0.35), SSDLite, CLASSES, Preprocessing((64, 64), "crop"), role="detection")
    assert_one_sentence(caught.value, "SSDLite", "stretch or pad")


def test_a_refused_resume_keeps_the_configuration(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "config.yaml").read_text()
    write_class_folders(tmp_path / "other", 12, ("ant", "bee"))
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--run", str(run), "--trainer.max_epochs=20", f"--data.root={tmp_path / 'other'}"])
    assert "classes" in str(caught.value)
    assert (run / "config.yaml").read_text() == before


@pytest.mark.parametrize("model", ["ClassificationTask", "DetectionTask"])
def test_data_of_another_task_is_refused(model: str, images_root: Path, shapes: Path, tmp_path: Path) -> None:
    data = {
        "ClassificationTask": ["--data=CocoDetection", f"--data.root={shapes}", "--data.train=train", "--data.val=val"],
        "DetectionTask": ["--data=FolderClassification", f"--data.root={images_root}"],
    }[model]
    kinds = {"ClassificationTask": "ClassificationDataModule", "DetectionTask": "DetectionDataModule"}
    words = ["--model.backbone=MobileNetV2", "--model.backbone.width=0.5", "--trainer.max_steps=1"]
    with pytest.raises(SystemExit) as caught:
        main(["fit", f"--model={model}", *words, *data, "--data.num_workers=0", f"--run={tmp_path / 'run'}"])
    assert f"{model} needs data of type {kinds[model]}" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.optimizer.lr=-1"], "The optimiser cannot be built: Invalid learning rate"),
        (["--model.warmup_steps=-4"], "warmup_steps must be at least 0, not -4."),
    ],
    ids=["rate", "warm-up"],
)
def test_invalid_values_are_refused(words: list[str], message: str, images_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fit", *WORDS, f"--data.root={images_root}", f"--run={tmp_path / 'run'}", *words])
    assert message in str(caught.value)
