"""Counts and figures equal those of plain loops, torchmetrics and the Cityscapes benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from litmobile.tasks.segmentation import Cityscapes
from litmobile.tasks.segmentation.data_sets.known_classes import LABEL_IDS
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator, SegmentationResult, count_pixels
from support.data.segmentation import write_mask
from support.distributed_evaluation import WORLDS, evaluate_in_processes, evaluate_label_maps, make_label_maps

OneSentence = Callable[..., None]
CLASS_COUNTS = (1, 2, 11, 19, 150, 254)


def make_labels(classes: int, images: int = 3, size: tuple[int, int] = (17, 23)) -> tuple[Tensor, Tensor]:
    """Returns predictions int64 and truths uint8, which are mostly equal; some pixels are ignored."""
    generator = torch.Generator().manual_seed(classes)
    truth = torch.randint(classes, (images, *size), generator=generator)
    other = torch.randint(classes, (images, *size), generator=generator)
    predicted = torch.where(torch.rand(images, *size, generator=generator) < 0.6, truth, other)
    truth[torch.rand(images, *size, generator=generator) < 0.2] = 255
    return predicted, truth.to(torch.uint8)


def write_scenes(root: Path, split: str, images: int, size: tuple[int, int] = (32, 48)) -> Path:
    """Write images and masks with all 34 label ids except those of wall, bus and train; returns ``root``."""
    random = np.random.default_rng(0)
    ids = np.array([k for k in range(34) if k not in (LABEL_IDS["wall"], LABEL_IDS["bus"], LABEL_IDS["train"])])
    for number in range(images):
        city = ("aachen", "bochum")[number % 2]
        name = f"{city}_{number:06d}_000019"
        mask = random.choice(ids, size=(size[0] // 4, size[1] // 4)).repeat(4, axis=0).repeat(4, axis=1)
        image = random.integers(256, size=(*size, 3), dtype=np.uint8)
        write_mask(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image)
        write_mask(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", mask)
    return root


def slow_counts(predicted: Tensor, truth: Tensor, classes: int) -> np.ndarray[Any, Any]:
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for said, true in zip(predicted.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if true != 255:
            matrix[true, said] += 1
    return matrix


def result(*rows: list[int]) -> SegmentationResult:
    boundary_pixels = np.zeros((len(rows), 4), dtype=np.int64)
    boundary_pixels[0] = 4, 5, 2, 3
    return SegmentationResult(tuple("abcdefg"[: len(rows)]), np.array(rows), boundary_pixels)


@pytest.mark.parametrize("classes", CLASS_COUNTS)
@pytest.mark.parametrize("kinds", [(torch.int64, torch.uint8), (torch.uint8, torch.uint8), (torch.int32, torch.int64)])
def test_counts_equal_plain_loops(classes: int, kinds: tuple[torch.dtype, torch.dtype]) -> None:
    predicted, truth = make_labels(classes)
    counts = count_pixels(predicted.to(kinds[0]), truth.to(kinds[1]), classes)
    assert counts.dtype == torch.int64
    assert np.array_equal(counts.numpy(), slow_counts(predicted, truth, classes))


def test_counting_keeps_its_inputs_and_takes_any_layout() -> None:
    predicted, truth = make_labels(5)
    before = predicted.clone(), truth.clone()
    expected = count_pixels(predicted, truth, 5)
    assert torch.equal(predicted, before[0]) and torch.equal(truth, before[1])
    turned = count_pixels(predicted.transpose(1, 2), truth.transpose(1, 2), 5)
    assert torch.equal(turned, expected)
    assert torch.equal(count_pixels(predicted[:, ::2], truth[:, ::2], 5), count_pixels(
        predicted[:, ::2].contiguous(), truth[:, ::2].contiguous(), 5))  # fmt: skip


def test_counts_exceed_the_range_of_float32() -> None:
    evaluator = SegmentationEvaluator(("a", "b"))
    evaluator.matrix[:] = torch.tensor([[2**53 + 1, 0], [0, 2**24]])
    zeros = torch.zeros(4097, 4096, dtype=torch.uint8)  # more than 2²⁴ pixels of one pair in one image
    evaluator.add(zeros + 1, zeros + 1)
    evaluator.add(zeros[:1, :1], zeros[:1, :1])
    assert evaluator.compute().matrix.tolist() == [[2**53 + 2, 0], [0, 2**24 + 4097 * 4096]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_counts_the_same() -> None:
    predicted, truth = make_labels(19)
    counts = count_pixels(predicted.cuda(), truth.cuda(), 19)
    assert counts.is_cuda and torch.equal(counts.cpu(), count_pixels(predicted, truth, 19))


def test_the_path_for_other_devices_counts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class OtherDevice(Tensor):
        """A tensor that claims to be on another device."""

        @property
        def device(self) -> torch.device:
            return torch.device("meta")

    predicted, truth = make_labels(19)
    assert torch.equal(
        count_pixels(predicted, truth.as_subclass(OtherDevice), 19).as_subclass(Tensor),
        count_pixels(predicted, truth, 19),
    )


@pytest.mark.parametrize("classes", CLASS_COUNTS)
def test_figures_are_of_all_pixels_not_means_of_batches(classes: int) -> None:
    names = [str(k) for k in range(classes)]
    predicted, truth = make_labels(classes, images=4)
    truth[1:3] = 255  # images with very different numbers of labelled pixels
    truth[2, 0, :3] = 0
    evaluator = SegmentationEvaluator(names)
    for said, true in zip(predicted, truth, strict=True):
        evaluator.add(said, true)
    found = evaluator.compute()
    matrix = slow_counts(predicted, truth, classes)
    assert found.matrix.dtype == np.int64 and np.array_equal(found.matrix, matrix)
    ious, recalls = [], []
    for k in range(classes):
        union = matrix[k].sum() + matrix[:, k].sum() - matrix[k, k]
        ious += [matrix[k, k] / union] if union else []
        recalls += [matrix[k, k] / matrix[k].sum()] if matrix[k].sum() else []
    expected = {
        "miou": sum(ious) / len(ious),
        "pixel_accuracy": sum(matrix[k, k] for k in range(classes)) / matrix.sum(),
        "mean_recall": sum(recalls) / len(recalls),
    }
    assert {name: found.figures[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("classes", CLASS_COUNTS[1:4])
def test_figures_equal_torchmetrics(classes: int) -> None:
    torchmetrics = pytest.importorskip("torchmetrics.classification")
    predicted, truth = make_labels(classes)
    peer = torchmetrics.MulticlassJaccardIndex(num_classes=classes, ignore_index=255, average="none")
    peer.update(predicted, truth.long())
    evaluator = SegmentationEvaluator([str(k) for k in range(classes)])
    for said, true in zip(predicted, truth, strict=True):
        evaluator.add(said, true)
    assert np.array_equal(evaluator.compute().matrix, peer.confmat.numpy())
    assert evaluator.compute().iou == pytest.approx(peer.compute().numpy(), abs=1e-6)


def test_absent_classes_do_not_count_and_false_ones_do() -> None:
    # a is in masks and predictions, b only in predictions, c in neither, d only in masks
    found = result([6, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0])
    assert found.iou == pytest.approx([6 / 9, 0, np.nan, 0], nan_ok=True)
    assert found.recall == pytest.approx([6 / 8, np.nan, np.nan, 0], nan_ok=True)
    assert found.precision == pytest.approx([6 / 7, 0, np.nan, np.nan], nan_ok=True)
    means = {"miou": 2 / 9, "pixel_accuracy": 0.6, "mean_recall": 3 / 8, "boundary_f": 0.6 / 1.1}
    assert found.figures == pytest.approx(means)
    of_class = found.per_class()
    undefined = {"recall": None, "boundary_f": None, "pixels": 0}
    assert of_class["c"] == {"iou": None, "precision": None, "predicted_pixels": 0, **undefined}
    assert of_class["b"] == {"iou": 0.0, "precision": 0.0, "predicted_pixels": 3, **undefined}
    assert of_class["a"]["boundary_f"] == pytest.approx(0.6 / 1.1)  # of precision 3 / 5 and recall 2 / 4
    lines = {line.split()[0]: line for line in str(found).splitlines() if line.strip()}
    assert lines["c"].endswith("absent") and "–" in lines["c"]
    assert lines["b"].endswith("in no mask") and "0.0000" in lines["b"]
    assert not lines["a"].endswith(("absent", "mask")) and "0.6667" in lines["a"]
    assert "0.2222" in lines["miou"] and "0.6000" in lines["pixel_accuracy"]


def test_a_report_is_json_and_a_confusion_table() -> None:
    found = result([6, 2, 0], [0, 0, 0], [0, 0, 0])
    said = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert said["pixels"] == 8 and said["figures"]["miou"] == pytest.approx(3 / 8)
    assert said["per_class"]["c"]["iou"] is None and said["per_class"]["a"]["pixels"] == 8
    assert found.confusion_table() == [
        ["class \\ predicted", "a", "b", "c"],
        ["a", 6, 2, 0],
        ["b", 0, 0, 0],
        ["c", 0, 0, 0],
    ]


def test_an_evaluation_of_nothing_has_no_figures() -> None:
    found = SegmentationEvaluator(("a", "b")).compute()
    assert all(np.isnan(value) for value in found.figures.values())
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["figures"]["miou"] is None
    assert "–" in str(found).splitlines()[0]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where each of several processes wrote its figures."""
    folder = tmp_path_factory.mktemp("together")
    evaluate_in_processes(folder, evaluate_label_maps)
    return folder


@pytest.mark.parametrize("world", WORLDS)
def test_several_processes_find_the_same_as_one(world: int, together: Path) -> None:
    alone = evaluate_label_maps(0, 1)
    assert alone["pixels"] == make_label_maps()[1].ne(255).sum() and 0 < alone["figures"]["miou"] < 1
    for rank in range(world):
        assert json.loads((together / f"{world}-{rank}.json").read_text()) == json.loads(json.dumps(alone))


# the Cityscapes benchmark


def evaluate_with_cityscapesscripts(root: Path, results: Path) -> dict[str, Any]:
    """Returns the figures of the benchmark's script for ``results`` on the val split of ``root``."""
    script = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    truths = sorted(map(str, (root / "gtFine" / "val").glob("*/*_gtFine_labelIds.png")))
    script.args.predictionPath, script.args.predictionWalk = str(results), None
    script.args.evalInstLevelScore, script.args.JSONOutput, script.args.quiet = False, False, True
    return script.evaluateImgLists([script.getPrediction(script.args, truth) for truth in truths], truths, script.args)


def test_figures_equal_the_cityscapes_benchmark(tmp_path: Path) -> None:
    root = write_scenes(tmp_path / "cityscapes", "val", 5)
    data = Cityscapes(str(root))
    split = data.read("val")
    evaluator = SegmentationEvaluator(split.classes)
    random = np.random.default_rng(1)
    ids = np.array(list(LABEL_IDS.values()), dtype=np.uint8)
    for index in range(len(split)):
        truth = split.labels(index)
        kinds = [
            k for k, name in enumerate(split.classes) if name not in ("train", "bicycle")
        ]  # wall and bus are predicted
        guess = random.choice(kinds, size=truth.shape)
        said = np.where((truth != 255) & (random.random(truth.shape) < 0.7), truth, guess).astype(np.uint8)
        said[said == split.classes.index("bicycle")] = 0
        evaluator.add(torch.from_numpy(said).long(), torch.from_numpy(truth))
        name = split.path(index).name.replace("_leftImg8bit", "_pred_labelIds")
        write_mask(tmp_path / "results" / name, ids[said])
    found = evaluator.compute()
    expected = evaluate_with_cityscapesscripts(root, tmp_path / "results")
    theirs = [expected["classScores"][name] for name in split.classes]
    assert found.iou == pytest.approx(theirs, abs=1e-12, nan_ok=True)
    assert found.figures["miou"] == pytest.approx(expected["averageScoreClasses"], abs=1e-12)
    values = dict(zip(split.classes, theirs, strict=True))
    assert np.isnan(values["train"]), "in neither masks nor predictions"
    assert values["wall"] == values["bus"] == 0, "only predicted"
    assert values["bicycle"] == 0, "never predicted"
    assert 0.3 < values["road"] < 1
    cells = np.array(expected["confMatrix"])[np.ix_(ids, ids)]
    assert np.array_equal(found.matrix, cells)
