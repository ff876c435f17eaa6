"""Processes that measure together; they import this module, which they could not do with a test."""

from __future__ import annotations

import datetime
import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from litmobile.tasks.classification.metrics import ClassificationEvaluator
from litmobile.tasks.segmentation.metrics import SegmentationEvaluator

WORLDS = (3, 2)  # processes that measure together, one world after the other
CLASSES = tuple("abcdefg")


def answers(images: int = 31) -> tuple[Tensor, Tensor]:
    """Scores ``[N, 7]`` and labels ``[N]``, of which the classes e and g have none."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(images, len(CLASSES), generator=generator).mul(2).softmax(1)
    return scores, torch.tensor([0, 1, 2, 3, 5])[torch.randint(5, (images,), generator=generator)]


def measured(rank: int, world: int) -> dict[str, Any]:
    """What is found of a classifier where this process has every ``world``-th image, in batches of four."""
    evaluator = ClassificationEvaluator(CLASSES)
    scores, labels = answers()
    for some, of_some in zip(scores[rank::world].split(4), labels[rank::world].split(4), strict=True):
        evaluator.add(some, of_some)
    found = evaluator.compute()
    again = evaluator.compute()
    assert (again.matrix == found.matrix).all(), "asking does not count"
    return found.as_json() | {"matrix": found.matrix.tolist()}


def masks(images: int = 5) -> tuple[Tensor, Tensor]:
    """Predictions and truths ``[N, 9, 8]``, of which the last class has none, and the last image none at all."""
    generator = torch.Generator().manual_seed(0)
    predicted, truth = torch.randint(len(CLASSES) - 1, (2, images, 9, 8), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.3] = 255
    truth[-1] = 255
    return predicted, truth.to(torch.uint8)


def measured_masks(rank: int, world: int) -> dict[str, Any]:
    """The same of label maps."""
    evaluator = SegmentationEvaluator(CLASSES)
    for said, true in list(zip(*masks(), strict=True))[rank::world]:
        evaluator.add(said, true)
    evaluator.compute()  # asking does not count
    found = evaluator.compute()
    return found.as_json() | {"matrix": found.matrix.tolist()}


def measure_together(folder: Path, what: Callable[[int, int], dict[str, Any]]) -> None:
    """Writes what each of several real processes finds into ``folder``."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.measured"])  # imports once what takes longer than all the rest
    processes = [context.Process(target=measure, args=(str(folder), rank, what)) for rank in range(max(WORLDS))]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * len(processes)


def measure(folder: str, rank: int, what: Callable[[int, int], dict[str, Any]]) -> None:
    """One of the processes; what each world found is written into ``folder``."""
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
            Path(folder, f"{world}-{rank}.json").write_text(json.dumps(what(rank, world)))
            dist.destroy_process_group()
