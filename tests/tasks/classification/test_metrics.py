"""Accuracy, confusions and calibration against plain loops and torchmetrics, in any batches and processes."""

from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
)

from litmobile.tasks.classification.metrics import BINS, ClassificationEvaluator, ClassificationResult
from litmobile.tasks.drawing import confusion_table
from support.distributed_evaluation import WORLDS, evaluate_in_processes, evaluate_scores, make_scores

COUNTS = (2, 3, 5, 6, 10, 30)  # of classes


def evaluated(scores: Tensor, labels: Tensor, batch: int = 7) -> ClassificationResult:
    evaluator = ClassificationEvaluator([f"class {k}" for k in range(scores.shape[1])])
    for some, of_some in zip(scores.split(batch), labels.split(batch), strict=True):
        evaluator.add(some, of_some)
    return evaluator.compute()


def random_scores(classes: int, images: int = 200) -> tuple[Tensor, Tensor]:
    """Scores that are correct more often than chance, for images of all classes."""
    generator = torch.Generator().manual_seed(classes)
    labels = torch.cat((torch.arange(classes), torch.randint(classes, (images - classes,), generator=generator)))
    logits = torch.randn(images, classes, generator=generator) + 2 * torch.nn.functional.one_hot(labels, classes)
    return logits.mul(1.5).softmax(1), labels


def rank_classes(row: list[float]) -> list[int]:
    """Class indices, that of the highest score first."""
    return sorted(range(len(row)), key=lambda k: -row[k])


def calibration_error(scores: Tensor, labels: Tensor) -> float:
    """Sum over bins of the fraction of images times the difference between accuracy and mean confidence."""
    bins: list[list[tuple[bool, float]]] = [[] for _ in range(BINS)]
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        bin_of = next(k for k in range(BINS) if Fraction(confidence) <= Fraction(k + 1, BINS))
        bins[bin_of].append((rank_classes(row)[0] == label, confidence))
    total = 0.0
    for images in filter(None, bins):
        accuracy = sum(is_correct for is_correct, _ in images) / len(images)
        confidence = sum(confidence for _, confidence in images) / len(images)
        total += len(images) / len(labels) * abs(accuracy - confidence)
    return total


@pytest.mark.parametrize("classes", COUNTS)
def test_figures_equal_plain_loops(classes: int) -> None:
    scores, labels = random_scores(classes)
    found = evaluated(scores, labels)
    matrix = np.zeros((classes, classes), dtype=int)
    near = 0
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        matrix[label, rank_classes(row)[0]] += 1
        near += label in rank_classes(row)[:5]
    assert (found.matrix == matrix).all() and found.images == 200
    assert found.figures["top1"] == sum(matrix[k, k] for k in range(classes)) / 200
    assert found.figures["top5"] == (near / 200 if classes > 5 else None)
    assert found.figures["mean_recall"] == pytest.approx(
        sum(matrix[k, k] / matrix[k].sum() for k in range(classes)) / classes
    )
    assert found.figures["calibration_error"] == pytest.approx(calibration_error(scores, labels), abs=1e-12)


@pytest.mark.parametrize("classes", COUNTS)
def test_figures_equal_torchmetrics(classes: int) -> None:
    scores, labels = random_scores(classes)
    found = evaluated(scores, labels)
    arguments: dict[str, Any] = {"num_classes": classes}
    expected = {
        "top1": MulticlassAccuracy(average="micro", **arguments),
        "mean_recall": MulticlassAccuracy(average="macro", **arguments),
        "calibration_error": MulticlassCalibrationError(n_bins=15, norm="l1", **arguments),
    }
    if classes > 5:
        expected["top5"] = MulticlassAccuracy(average="micro", top_k=5, **arguments)
    for name, metric in expected.items():
        assert found.figures[name] == pytest.approx(float(metric(scores, labels)), abs=1e-6), name
    matrix = MulticlassConfusionMatrix(**arguments)(scores, labels)
    assert (found.matrix == matrix.numpy()).all()


@pytest.mark.parametrize("batch", [1, 3, 64, 200])
def test_figures_do_not_depend_on_the_batch_size(batch: int) -> None:
    scores, labels = random_scores(10)
    found, expected = evaluated(scores, labels, batch), evaluated(scores, labels, 7)
    assert (found.matrix == expected.matrix).all()
    for name in ("top1", "top5", "mean_recall"):
        assert found.figures[name] == expected.figures[name]
    assert found.figures["calibration_error"] == pytest.approx(expected.figures["calibration_error"], abs=1e-12)


def test_mean_recall_ignores_classes_without_images() -> None:
    scores, labels = torch.eye(3)[[0, 1, 0, 2]], torch.tensor([0, 0, 0, 1])
    found = evaluated(scores, labels)
    assert found.figures["mean_recall"] == pytest.approx((2 / 3 + 0) / 2)
    assert found.per_class() == {
        "class 0": {"images": 3, "recall": 2 / 3, "precision": 1.0},
        "class 1": {"images": 1, "recall": 0.0, "precision": 0.0},
        "class 2": {"images": 0, "recall": None, "precision": 0.0},
    }
    assert "–" in next(line for line in str(found).splitlines() if line.startswith("class 2"))


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_figures_without_images_are_zero() -> None:
    found = ClassificationEvaluator(("a", "b")).compute()
    assert found.images == 0
    assert found.figures == {"top1": 0, "top5": None, "mean_recall": 0, "calibration_error": 0}


@pytest.mark.parametrize("border", range(BINS + 1))
def test_a_bin_contains_its_upper_bound(border: int) -> None:
    at = torch.tensor(border / BINS)
    around = [torch.nextafter(at, torch.tensor(-1.0)), at, torch.nextafter(at, torch.tensor(2.0))]
    values = torch.stack([*around, torch.tensor(border / BINS, dtype=torch.float64)]).clamp(0, 1)
    evaluator = ClassificationEvaluator(("a", "b"))
    evaluator.add(torch.stack((values, torch.zeros_like(values)), dim=1), torch.zeros(4, dtype=torch.int64))
    counts = [0] * BINS
    for value in values.tolist():
        counts[next(k for k in range(BINS) if value <= (k + 1) / BINS)] += 1
    assert evaluator.calibration_error.bins[0].tolist() == counts
    assert evaluator.calibration_error.bins[2].sum().item() == pytest.approx(values.sum().item())


def test_certainty_is_calibrated_if_it_is_correct() -> None:
    scores = torch.eye(4)
    assert evaluated(scores, torch.arange(4)).figures["calibration_error"] == 0
    assert evaluated(scores, torch.arange(4).flip(0)).figures["calibration_error"] == 1
    nothing = torch.zeros(4, 4)  # sigmoids can give it
    found = evaluated(nothing, torch.full((4,), int(nothing.topk(1).indices[0, 0])))
    assert (found.figures["top1"], found.figures["calibration_error"]) == (1, 1)


@pytest.mark.parametrize(("classes", "has_top5"), [(2, False), (5, False), (6, True)])
def test_five_classes_or_fewer_have_no_top5(classes: int, has_top5: bool) -> None:
    found = evaluated(*random_scores(classes))
    assert (found.figures["top5"] is not None) == has_top5
    assert (found.as_json()["figures"]["top5"] is not None) == has_top5


def test_confusions_are_sorted_by_frequency() -> None:
    found = evaluated(torch.eye(3)[[1, 1, 2, 0, 0, 2]], torch.tensor([0, 0, 0, 0, 1, 2]))
    assert found.confusions() == [("class 0", "class 1", 2), ("class 0", "class 2", 1), ("class 1", "class 0", 1)]
    assert confusion_table(found.matrix, found.classes) == [
        ["class \\ predicted", "class 0", "class 1", "class 2"],
        ["class 0", 1, 2, 1],
        ["class 1", 1, 0, 0],
        ["class 2", 0, 0, 1],
    ]
    assert "     2 × class 0 predicted as class 1" in str(found)


def test_a_long_table_shows_the_classes_with_lowest_recall() -> None:
    labels = torch.arange(30)
    found = evaluated(torch.eye(30)[labels.where(labels != 7, torch.tensor(8))], labels)
    lines = str(found).splitlines()
    assert "(the 20 of 30 classes with the lowest recall)" in str(found)
    rows = [line for line in lines if line.startswith("class ")]
    assert len(rows) == 20 and rows[0].split()[:3] == ["class", "7", "0.0000"]


def test_memory_does_not_grow() -> None:
    evaluator = ClassificationEvaluator([str(k) for k in range(10)])
    evaluator.add(*random_scores(10))
    evaluator.compute()
    size = len(pickle.dumps(evaluator))
    for _ in range(50):
        evaluator.add(*random_scores(10))
    assert evaluator.compute().images == 51 * 200
    assert len(pickle.dumps(evaluator)) < size + 100


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which each of several processes wrote its figures."""
    folder = tmp_path_factory.mktemp("together")
    evaluate_in_processes(folder, evaluate_scores)
    return folder


@pytest.mark.parametrize("world", WORLDS)
def test_several_processes_give_the_figures_of_one(world: int, together: Path) -> None:
    alone = evaluate_scores(0, 1)
    assert alone["images"] == len(make_scores()[1]) == np.sum(alone["matrix"])
    assert len(alone["matrix"]) > 5, "top5 is among the figures"
    for rank in range(world):
        found = json.loads((together / f"{world}-{rank}.json").read_text())
        assert found["matrix"] == alone["matrix"] and found["per_class"] == alone["per_class"]
        assert found["figures"] == pytest.approx(alone["figures"], abs=1e-12)
