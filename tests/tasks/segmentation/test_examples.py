"""A segmenter's examples are the best and the worst images of all processes, however the images are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from litmobile.tasks.evidence import mean_defined
from litmobile.tasks.examples import choose_examples
from litmobile.tasks.segmentation import FolderSegmentation
from litmobile.tasks.segmentation.examples import Candidate, CandidateKeeper, describe_image, draw_examples
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator
from support.data.segmentation import CLASSES, write_block_images


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("levels", [5, 10**6])  # few levels make equal scores
@pytest.mark.parametrize("images", [3, 11, 13, 60])
def test_kept_label_maps_are_those_that_are_chosen(images: int, levels: int, processes: int) -> None:
    scores = np.asarray(np.random.default_rng(images).integers(1, levels, images) / levels, dtype=np.float64)
    scores[::7] = np.nan
    merged: dict[int, Candidate] = {}
    for process in range(processes):
        keeper = CandidateKeeper()
        for image in range(process, images, processes):
            keeper.add(image, np.array([scores[image], np.nan]), np.zeros((2, 2), dtype=np.uint8))
        assert len(keeper.candidates) <= 12
        merged |= keeper.candidates
    kept = sorted(merged)
    worst, best = choose_examples(np.array([float(mean_defined(merged[image].iou)) for image in kept]))
    assert ([kept[k] for k in worst], [kept[k] for k in best]) == choose_examples(scores)


def test_scores_are_those_of_the_evidence() -> None:
    random = np.random.default_rng(0)
    evaluator = SegmentationEvaluator(CLASSES)
    for image in range(8):
        truth, predicted = random.integers(3, size=(2, 9, 7)).astype(np.uint8)
        truth[random.random(truth.shape) < image / 7] = 255  # all of the last
        evaluator.add(torch.from_numpy(predicted), torch.from_numpy(truth), image)
    evidence = evaluator.evidence(np.array([f"{k}.png" for k in range(8)]))
    assert evidence is not None
    scores = evidence.image_scores()
    assert np.isnan(scores[-1]) and 7 not in evaluator.examples.candidates
    for image, candidate in evaluator.examples.candidates.items():
        assert scores[image] == pytest.approx(float(mean_defined(candidate.iou)), abs=1e-15)


def test_large_label_maps_are_reduced() -> None:
    keeper = CandidateKeeper()
    keeper.add(0, np.array([0.5]), np.zeros((900, 1600), dtype=np.uint8))
    assert keeper.candidates[0].predicted.shape == (360, 640)


def test_images_that_have_disappeared_are_skipped(tmp_path: Path) -> None:
    split = FolderSegmentation(str(write_block_images(tmp_path, "val", 4)), train="val").read("val")
    keeper = CandidateKeeper()
    for image in range(4):
        keeper.add(image, np.array([0.2 * (image + 1)]), split.labels(image))
    split.path(0).unlink()
    drawn = draw_examples(split, keeper.candidates).images
    assert [(example.kind, example.name) for example in drawn] == [
        ("worst", "1.png"),
        ("best", "3.png"),
        ("best", "2.png"),
    ]


def test_captions_name_the_worst_classes() -> None:
    iou = np.array([0.9, np.nan, 0.25, 0.5, 0.35])
    assert describe_image(iou, tuple("abcde")) == "Mean IoU 0.50 of 4 classes; lowest: c 0.25, e 0.35, d 0.50"
    assert describe_image(iou[:3], tuple("abc")) == "Mean IoU 0.57 of 2 classes; c 0.25, a 0.90"
    assert describe_image(iou[:2], tuple("ab")) == "IoU a 0.90, the only class of the mask"
