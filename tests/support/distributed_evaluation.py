"""Evaluation in several processes, in a module of its own because a process cannot import a test file."""

from __future__ import annotations

import datetime
import json
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from litmobile.tasks.classification.metrics import ClassificationEvaluator
from litmobile.tasks.detection.evaluation.metrics import CocoEvaluator
from litmobile.tasks.evidence import Evidence, mean_defined
from litmobile.tasks.network import gather_by_image
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator
from support.data.coco import add_detections, make_coco

WORLDS = (3, 2)  # numbers of processes that evaluate together, one group after the other
CLASSES = tuple("abcdefg")


def make_scores(images: int = 31) -> tuple[Tensor, Tensor]:
    """Return scores ``[N, 7]`` and labels ``[N]``; classes e and g have no image."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(images, len(CLASSES), generator=generator).mul(2).softmax(1)
    return scores, torch.tensor([0, 1, 2, 3, 5])[torch.randint(5, (images,), generator=generator)]


def evaluate_scores(rank: int, world: int) -> dict[str, Any]:
    """Return a classifier's figures when this process evaluates every ``world``-th image in batches of four."""
    evaluator = ClassificationEvaluator(CLASSES)
    scores, labels = make_scores()
    images = torch.arange(len(labels))
    for batch in zip(*(values[rank::world].split(4) for values in (scores, labels, images)), strict=True):
        evaluator.add(*batch)
    found = evaluator.compute()
    again = evaluator.compute()
    assert (again.matrix == found.matrix).all(), "computing the figures changed them"
    check_evidence(evaluator.evidence(images.numpy().astype(np.str_)), found.figures, len(images))
    return found.as_json() | {"matrix": found.matrix.tolist()}


def make_label_maps(images: int = 5) -> tuple[Tensor, Tensor]:
    """Return predictions and truths ``[N, 9, 8]``; the last class has no pixel, the last image only ignored ones."""
    generator = torch.Generator().manual_seed(0)
    predicted, truth = torch.randint(len(CLASSES) - 1, (2, images, 9, 8), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.3] = 255
    truth[-1] = 255
    return predicted, truth.to(torch.uint8)


def evaluate_label_maps(rank: int, world: int) -> dict[str, Any]:
    """Return a segmenter's figures when this process evaluates every ``world``-th image."""
    evaluator = SegmentationEvaluator(CLASSES)
    label_maps = list(zip(*make_label_maps(), strict=True))
    for image in range(rank, len(label_maps), world):
        evaluator.add(*label_maps[image], image)
    evaluator.compute()  # computing the figures must not change them
    found = evaluator.compute()
    check_evidence(evaluator.evidence(np.arange(len(label_maps)).astype(np.str_)), found.figures, len(label_maps))
    candidates = gather_by_image(evaluator.examples.candidates)
    examples = {image: mean_defined(candidate.iou).tolist() for image, candidate in candidates.items()}
    return found.as_json() | {"matrix": found.matrix.tolist(), "examples": [*examples.items()]}


def check_evidence(evidence: Evidence | None, figures: Mapping[str, float | None], images: int) -> None:
    """Check that evidence is of all images in their order, and gives the figures of all processes."""
    assert evidence is not None
    assert evidence.names == tuple(map(str, range(images)))
    found = evidence.figures(np.ones((1, images)), list(figures))
    for name, value in figures.items():
        np.testing.assert_allclose(found[name][0], np.nan if value is None else value, rtol=0, atol=1e-12)


def evaluate_detections(rank: int, world: int) -> dict[str, Any]:
    """Return a detector's figures when this process evaluates every ``world``-th image.

    Every process but the last first adds wrong detections of an image that the last process evaluates.
    """
    content, detections = make_coco(0, images=7, crowds=0.1, detected_images=5)
    image_ids = [image["id"] for image in content["images"]]
    evaluator = CocoEvaluator(content)
    if rank < world - 1:
        add_detections(evaluator, [world], [row | {"score": 1 - row["score"]} for row in detections])
    add_detections(evaluator, image_ids[rank::world], detections)
    found = evaluator.compute()
    assert evaluator.compute() is found
    evidence = evaluator.evidence()
    assert (evidence is None) == (rank > 0), "the first process has all detections"
    if evidence is not None:
        check_evidence(replace(evidence, names=tuple(map(str, range(7)))), found.figures, 7)
    return found.as_json()


def evaluate_in_processes(folder: Path, evaluate: Callable[[int, int], dict[str, Any]]) -> None:
    """Run ``evaluate`` in several real processes, which write their figures into ``folder``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.distributed_evaluation"])  # the imports take most of the time
    processes = [context.Process(target=run_worker, args=(str(folder), rank, evaluate)) for rank in range(max(WORLDS))]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def run_worker(folder: str, rank: int, evaluate: Callable[[int, int], dict[str, Any]]) -> None:
    """Run one process and write the figures of each group into ``folder``."""
    torch.set_num_threads(1)
    for world in WORLDS:
        if rank < world:
            dist.init_process_group(
                "gloo",
                init_method=f"file://{folder}/store-{world}",
                rank=rank,
                world_size=world,
                timeout=datetime.timedelta(seconds=60),
            )
            Path(folder, f"{world}-{rank}.json").write_text(json.dumps(evaluate(rank, world)))
            dist.destroy_process_group()
