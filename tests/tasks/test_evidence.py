"""Every evaluation leaves a file of evidence, from which its figures follow; other files are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litmobile.errors import EvaluationError
from litmobile.tasks.classification.metrics import ClassificationEvaluator
from litmobile.tasks.data.fingerprint import iterate_arrays
from litmobile.tasks.detection.evaluation.metrics import CocoEvaluator
from litmobile.tasks.evidence import Evidence, load_evidence, save_evidence
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator
from litmobile.tools.cli import main
from litmobile.tools.evaluations import KINDS
from litmobile.tools.transfer.probes.evidence import ProbeEvidence
from support.data.coco import add_detections, make_coco
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images
from support.training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER

OneSentence = Callable[..., None]
CLASSES = tuple("abcdefg")
of_every_task = pytest.mark.parametrize("role", [kind.role for kind in KINDS if kind is not ProbeEvidence])
IMAGES = 31
NAMES = np.array([f"{k}.png" for k in range(IMAGES)])


def classify(weights: np.ndarray) -> tuple[Evidence, dict[str, Any]]:
    """Return evidence of a classifier, and the figures of images that are repeated ``weights`` times."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(IMAGES, len(CLASSES), generator=generator).mul(2).softmax(1)
    labels = torch.randint(len(CLASSES), (IMAGES,), generator=generator)
    evaluator, repeated = ClassificationEvaluator(CLASSES), ClassificationEvaluator(CLASSES)
    evaluator.add(scores, labels, torch.arange(IMAGES))
    copies = torch.arange(IMAGES).repeat_interleave(torch.from_numpy(weights).long())
    repeated.add(scores[copies], labels[copies])
    evidence = evaluator.evidence(NAMES)
    assert evidence is not None
    return evidence, repeated.compute().figures


def segment(weights: np.ndarray) -> tuple[Evidence, dict[str, Any]]:
    """Return evidence of a segmenter, and the figures of images that are repeated ``weights`` times."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(len(CLASSES) - 1, (IMAGES, 9, 8), generator=generator)
    predicted = torch.where(torch.rand(truth.shape, generator=generator) < 0.7, truth, truth.roll(1, 0))
    truth[torch.rand(truth.shape, generator=generator) < 0.2] = 255
    evaluator, repeated = SegmentationEvaluator(CLASSES), SegmentationEvaluator(CLASSES)
    for image in range(IMAGES):
        evaluator.add(predicted[image], truth[image].to(torch.uint8), image)
        for _ in range(int(weights[image])):
            repeated.add(predicted[image], truth[image].to(torch.uint8))
    evidence = evaluator.evidence(NAMES)
    assert evidence is not None
    return evidence, repeated.compute().figures


def detect() -> Evidence:
    """Return evidence of a detector."""
    content, detections = make_coco(0, images=IMAGES, crowds=0.1)
    evaluator = CocoEvaluator(content)
    add_detections(evaluator, [image["id"] for image in content["images"]], detections)
    evaluator.compute()
    evidence = evaluator.evidence()
    assert evidence is not None
    return evidence


def probe() -> Evidence:
    """Return evidence of a probe on objects."""
    random = np.random.default_rng(0)
    truth = random.integers(len(CLASSES), size=200)
    predicted = np.where(random.random(200) < 0.6, truth, random.integers(len(CLASSES), size=200))
    images = np.sort(random.integers(IMAGES, size=200))
    return ProbeEvidence.from_predictions(CLASSES, NAMES.tolist(), images, truth, predicted)


def make_evidence() -> dict[str, Evidence]:
    ones = np.ones(IMAGES)
    evidence = (classify(ones)[0], detect(), segment(ones)[0], probe())
    return {type(found).role: found for found in evidence}


@pytest.mark.parametrize("evaluate", [classify, segment])
@pytest.mark.parametrize("seed", range(3))
def test_a_weight_counts_an_image_several_times(evaluate: Callable[..., Any], seed: int) -> None:
    weights = np.random.default_rng(seed).integers(0, 3, size=IMAGES)
    evidence, expected = evaluate(weights)
    figures = evidence.figures(np.stack((weights, np.ones(IMAGES))), evidence.figure_names)
    assert list(figures) == list(expected)
    for name, value in expected.items():
        assert figures[name][0] == pytest.approx(value, abs=1e-12), name


def test_the_first_figure_is_the_mean_over_classes() -> None:
    weights = np.ones((1, IMAGES))
    for name in ("detection", "segmentation", "probe"):
        evidence = make_evidence()[name]
        figures = evidence.figures(weights, evidence.figure_names)
        assert np.nanmean(evidence.per_class(weights)) == pytest.approx(next(iter(figures.values()))[0], abs=1e-12)


@pytest.mark.parametrize("role", [kind.role for kind in KINDS])
def test_a_stored_file_is_read_as_written(role: str, tmp_path: Path) -> None:
    evidence = make_evidence()[role]
    save_evidence(tmp_path / "val-evidence.npz", evidence, {"step": 7})
    found, identity = load_evidence(tmp_path / "val-evidence.npz", KINDS)
    assert type(found) is type(evidence)
    assert (found.classes, found.names) == (evidence.classes, evidence.names)
    stored, expected = dict(iterate_arrays(found)), dict(iterate_arrays(evidence))
    assert stored.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(stored[name], array, strict=True)
    assert identity["step"] == 7
    assert found.hash_annotations() == evidence.hash_annotations()


def test_masks_of_equal_numbers_of_pixels_have_other_hashes() -> None:
    masks = torch.zeros(2, 4, 6, dtype=torch.uint8)
    masks[0, :2, :2] = masks[1, 1:3, 1:3] = 1
    predicted = torch.zeros(4, 6, dtype=torch.int64)
    hashes: list[str] = []
    for mask in (*masks, masks[0]):
        evaluator = SegmentationEvaluator("ab")
        evaluator.add(predicted, mask, 0)
        predicted = mask.long()  # does not change the hash
        evidence = evaluator.evidence(NAMES)
        assert evidence is not None
        hashes += evidence.hash_annotations()
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]


@pytest.mark.parametrize("role", [kind.role for kind in KINDS])
def test_equal_evidence_gives_equal_files(role: str, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_evidence(tmp_path / name, make_evidence()[role], {})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def damage(path: Path, how: str) -> None:
    """Damage an evidence file."""
    content = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "another file":
        np.savez(path, values=np.ones(3))
    elif how == "objects":
        np.savez(path, info=np.array([{}], dtype=object))
    elif how == "another version":
        info = json.loads(np.load(path)["info"].tobytes())
        arrays = {name: array for name, array in np.load(path).items() if name != "info"}
        text = json.dumps({**info, "version": 99}).encode()
        np.savez(path, info=np.frombuffer(text, dtype=np.uint8), **arrays)


@pytest.mark.parametrize("how", ["missing", "cut", "empty", "another file", "objects", "another version"])
def test_other_files_are_refused(how: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    path = tmp_path / "val-evidence.npz"
    save_evidence(path, classify(np.ones(IMAGES))[0], {})
    damage(path, how)
    with pytest.raises(EvaluationError) as refused:
        load_evidence(path, KINDS)
    assert_one_sentence(refused.value, str(path), "99" if how == "another version" else "evidence")


@pytest.fixture(scope="module")
def runs(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task after an epoch of training."""
    folder = tmp_path_factory.mktemp("runs")
    for split in ("train", "val"):
        write_class_folders(folder / "folders" / split, 12)
        write_block_images(folder / "masks", split, 4)
    tasks = {"detection": (SMALL, shapes), "classification": (SMALL_CLASSIFIER, folder / "folders")}
    tasks["segmentation"] = (SMALL_SEGMENTER, folder / "masks")
    for role, (words, root) in tasks.items():
        main(["fit", *words, f"--data.root={root}", "--trainer.max_epochs=1", "--run", str(folder / role)])
    return {role: folder / role for role in tasks}


@of_every_task
def test_figures_of_a_run_follow_from_its_evidence(role: str, runs: dict[str, Path]) -> None:
    evidence, identity = load_evidence(runs[role] / "val-evidence.npz", KINDS)
    report = json.loads((runs[role] / "val.json").read_text())
    figures = evidence.figures(np.ones((1, len(evidence.names))), evidence.figure_names)
    for name, value in report["figures"].items():
        assert figures.get(name, [np.nan])[0] == pytest.approx(
            np.nan if value is None else value, abs=1e-6, nan_ok=True
        )
    assert identity["step"] == report["step"] > 0


@of_every_task
def test_validate_finds_the_evidence_of_the_training(role: str, runs: dict[str, Path]) -> None:
    path = runs[role] / "val-evidence.npz"
    before = load_evidence(path, KINDS)
    path.unlink()
    main(["validate", "--run", str(runs[role])])
    after = load_evidence(path, KINDS)
    assert after.identity["annotations"] == before.identity["annotations"]
    assert after.identity["weights"] == before.identity["weights"]
    assert after.identity["settings"] == before.identity["settings"]
