"""Probes of all tasks on tiny data: figures, evidence that can be compared, features that are computed once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from litmobile.backbones import MobileNetV2
from litmobile.tasks.classification import ClassificationTask, FolderClassification
from litmobile.tasks.data.module import DataModule
from litmobile.tasks.detection import CocoDetection, DetectionTask
from litmobile.tasks.evidence import evidence_path, load_evidence, save_evidence
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import FolderSegmentation, SegmentationTask
from litmobile.tasks.task import Task
from litmobile.tools.cli import main
from litmobile.tools.evaluations import KINDS
from litmobile.tools.parts import build_parts
from litmobile.tools.transfer.probes import features
from litmobile.tools.transfer.probes.evidence import ProbeEvidence
from litmobile.tools.transfer.probes.probe import ProbeResult, run_probe
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images

CPU = torch.device("cpu")
Make = Callable[..., tuple[Task, DataModule[Any]]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    write_class_folders(root / "train", 24, ("dark", "grey", "light"))
    write_class_folders(root / "val", 9, ("dark", "grey", "light"))
    return root


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("masks")
    return write_block_images(write_block_images(root, "train", 8), "val", 3)


@pytest.fixture
def make(folders: Path, masks: Path, shapes: Path) -> Make:
    """A function that makes the task and the data of a role; the backbone's weights are random but always equal."""

    def make(role: str, **options: Any) -> tuple[Task, DataModule[Any]]:
        torch.manual_seed(0)
        given = {"num_workers": 0, "batch_size": 5} | options
        data = {
            "classification": lambda: FolderClassification(str(folders), **given),
            "detection": lambda: CocoDetection(str(shapes), train="train", val="val", **given),
            "segmentation": lambda: FolderSegmentation(str(masks), **given),
        }
        task = {task.role: task for task in (ClassificationTask, DetectionTask, SegmentationTask)}[role]
        return task(MobileNetV2(0.35), preprocessing=Preprocessing((48, 64))), data[role]()

    return make


ROLES = ("classification", "detection", "segmentation")


def probe(make: Make, role: str, protocol: str, cache: Path | None = None, **options: Any) -> ProbeResult:
    return run_probe(*make(role, **options), protocol, cache=cache, device=CPU)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("protocol", "names"), [("knn", ["knn5", "knn20"]), ("ridge", ["ridge"])])
def test_figures_follow_from_the_evidence(
    role: str, protocol: str, names: list[str], make: Make, tmp_path: Path
) -> None:
    result = probe(make, role, protocol)
    assert list(result.figures) == names and all(0 <= value <= 1 for value in result.figures.values())
    path = evidence_path(tmp_path, "val")
    save_evidence(path, result.evidence, result.identity)
    found = load_evidence(path, KINDS)
    assert found.identity["settings"]["protocol"] == protocol
    ones = np.ones((1, len(found.evidence.names)))
    assert found.evidence.figures(ones, ["mean_recall"])["mean_recall"][0] == pytest.approx(result.figures[names[0]])


def test_brightness_is_learned_from_random_features(make: Make) -> None:
    assert probe(make, "classification", "ridge").figures["ridge"] > 0.7  # chance is 0.33


@pytest.mark.parametrize("role", ROLES)
def test_features_are_computed_once(role: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = probe(make, role, "ridge")
    probe(make, role, "knn", tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == len(list(tmp_path.iterdir())) == 2

    def refuse(*arguments: object) -> None:
        raise AssertionError("features are computed again")

    with monkeypatch.context() as patched:
        patched.setattr(features, "extract_features", refuse)
        found = probe(make, role, "ridge", tmp_path)
    assert found.figures == expected.figures and found.identity == expected.identity
    probe(make, role, "knn", tmp_path, train_share=0.5)  # another training split, and the same validation
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("split", ["val", "test"])
def test_only_two_splits_are_read(split: str, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    task, data = make("classification")
    read = data.read
    names: list[str] = []

    def record(name: str) -> Any:
        names.append(name)
        return read("val" if name == "test" else name)

    monkeypatch.setattr(data, "read", record)
    run_probe(task, data, "knn", split=split, device=CPU)
    assert names == ["train", split]


def test_batch_size_and_augmentation_do_not_matter(make: Make) -> None:
    one, other = (probe(make, "detection", "ridge", batch_size=size) for size in (2, 5))
    assert one.figures == pytest.approx(other.figures)
    assert one.identity["weights"] == other.identity["weights"]


def test_probes_are_compared_like_runs(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for protocol in ("knn", "ridge"):
        result = probe(make, "detection", protocol)
        save_evidence(evidence_path(tmp_path / protocol, "val"), result.evidence, result.identity)
    main(["compare", str(tmp_path / "knn"), str(tmp_path / "ridge")])
    assert "mean_recall" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        main(["report", "--run", str(tmp_path / "knn")])
    assert "has the result of a probe" in str(caught.value)


def test_evidence_counts_samples_of_each_image() -> None:
    images, truth, predicted = np.array([0, 0, 0, 2, 2]), np.array([1, 1, 0, 2, 2]), np.array([1, 0, 0, 2, 2])
    evidence = ProbeEvidence.from_predictions("abc", ["x", "y", "z"], images, truth, predicted)
    assert evidence.samples.tolist() == [1, 1, 1, 2]
    weights = np.array([[1.0, 1, 1], [2, 5, 0]])
    np.testing.assert_array_equal(evidence.per_class(weights), [[1, 0.5, 1], [1, 0.5, np.nan]])
    figures = evidence.figures(weights, evidence.figure_names)
    np.testing.assert_allclose(figures["mean_recall"], [2.5 / 3, 0.75])
    np.testing.assert_allclose(figures["accuracy"], [4 / 5, 2 / 3])
    np.testing.assert_array_equal(evidence.image_scores(), [2 / 3, np.nan, 1])
    assert evidence.images_per_class().tolist() == [1, 1, 1]
    assert evidence.annotations(0)[0].tolist() == [1, 2, 0]


def test_unknown_protocols_are_refused(make: Make, assert_one_sentence: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="logistic") as caught:
        probe(make, "classification", "logistic")
    assert_one_sentence(caught.value, "knn", "ridge")


def test_a_split_without_objects_is_refused(make: Make, assert_one_sentence: Callable[..., None]) -> None:
    task, data = make("detection")
    data.setup("fit")
    val = data.splits["val"]
    data.splits["val"] = val.take_objects(np.zeros(len(val.labels), dtype=bool))
    with pytest.raises(ValueError, match="nothing to probe") as caught:
        run_probe(task, data, "knn", device=CPU)
    assert_one_sentence(caught.value, val.source)


def test_broken_weights_are_refused(make: Make, assert_one_sentence: Callable[..., None]) -> None:
    task, data = make("classification")
    torch.nn.init.constant_(task._parts[0].layers[0].conv.weight, float("nan"))
    with pytest.raises(ValueError, match="NaN") as caught:
        run_probe(task, data, "knn", device=CPU)
    assert_one_sentence(caught.value, "final", "weights")


def test_parts_of_a_run_are_built_with_its_seed(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    weights = []
    for seed in (3, 3, 4):
        task, data = build_parts(config | {"seed_everything": seed})
        data.setup("fit")
        weights.append(task.build_network(data.classes).backbone.state_dict()["layers.0.conv.weight"])
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_configuration_without_a_model_is_refused(run: Path, assert_one_sentence: Callable[..., None]) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    with pytest.raises(ValueError, match="--model") as caught:
        build_parts({key: value for key, value in config.items() if key != "model"})
    assert_one_sentence(caught.value, "--model")


@pytest.mark.slow
def test_pretrained_features_beat_random_ones(real_data: Path) -> None:
    """Weights of ImageNet tell ants and bees apart; random ones hardly do."""
    weights = real_data / "weights" / "mobilenetv2_100_keras_dogs.safetensors"
    preprocessing = Preprocessing((160, 160), "crop", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    found = {}
    for name, source in {"pretrained": str(weights), "random": None}.items():
        torch.manual_seed(0)
        backbone = MobileNetV2(padding="same", norm_eps=1e-3)
        task = ClassificationTask(backbone, preprocessing=preprocessing, backbone_weights=source)
        data = FolderClassification(str(real_data / "ants_bees"), num_workers=0)
        found[name] = run_probe(task, data, "ridge", device=CPU).figures["ridge"]
    assert found["pretrained"] > 0.9 and found["random"] < 0.7
