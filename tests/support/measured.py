"""Processes that measure a classifier together; they import this module, which they could not do with a test."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from litmobile.tasks.classification.metrics import ClassificationEvaluator

WORLDS = (3, 2)  # processes that measure together, one world after the other
CLASSES = tuple("abcdefg")


def answers(images: int = 31) -> tuple[Tensor, Tensor]:
    """Scores ``[N, 7]`` and labels ``[N]``, of which the classes e and g have none."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(images, len(CLASSES), generator=generator).mul(2).softmax(1)
    return scores, torch.tensor([0, 1, 2, 3, 5])[torch.randint(5, (images,), generator=generator)]


def measured(rank: int, world: int) -> dict[str, Any]:
    """What is found where this process has every ``world``-th image, in batches of four."""
    evaluator = ClassificationEvaluator(CLASSES)
    scores, labels = answers()
    for some, of_some in zip(scores[rank::world].split(4), labels[rank::world].split(4), strict=True):
        evaluator.add(some, of_some)
    found = evaluator.compute()
    again = evaluator.compute()
    assert (again.matrix == found.matrix).all(), "asking does not count"
    return found.as_json() | {"matrix": found.matrix.tolist()}


def measure(folder: str, rank: int) -> None:
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
            Path(folder, f"{world}-{rank}.json").write_text(json.dumps(measured(rank, world)))
            dist.destroy_process_group()
