"""A pair of processes that train in step; they import this module, which they could not do with a test."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from litmobile.heads import LRASPP, BoxTargets, Classifier, SSDLite
from litmobile.heads.contract import HeadFactory
from litmobile.heads.predictions import IGNORED
from litmobile.tasks.network import Network
from litmobile.tasks.preprocessing import Preprocessing
from support.small import SMALL, small_for

PROCESSES = 2
CLASSES = ("a", "b", "c")
SIZE = (64, 64)
BATCH = 2


def boxes(rank: int) -> BoxTargets:
    """One object for an image of the first process; the second has none at all."""
    labels = torch.full((BATCH, 1), -1)
    labels[0] = -1 if rank else 1
    return BoxTargets(torch.tensor([[[4.0, 4.0, 40.0, 40.0]]] * BATCH), labels)


def label_maps(rank: int) -> Tensor:
    """Labels for the first process; the second has not one labelled pixel."""
    labels = torch.randint(len(CLASSES), (BATCH, *SIZE), generator=torch.Generator().manual_seed(0))
    return torch.full_like(labels, IGNORED) if rank else labels


HEADS: dict[str, tuple[str, HeadFactory, Callable[[int], Any]]] = {
    "SSDLite": ("detection", SSDLite, boxes),
    "LRASPP": ("segmentation", LRASPP, label_maps),
    "Classifier": ("classification", Classifier, lambda rank: torch.tensor([rank, 2])),
}
COMBINATIONS = [f"{head} on {family}" for family in SMALL for head in HEADS]


def train(folder: str, rank: int) -> None:
    """One of the processes: a step of every combination; what became of each is written into ``folder``."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=PROCESSES,
        timeout=datetime.timedelta(seconds=60),
    )
    outcome = {combination: step(combination, rank) for combination in COMBINATIONS}
    Path(folder, f"{rank}.json").write_text(json.dumps(outcome))
    dist.destroy_process_group()


def step(combination: str, rank: int) -> dict[str, Any]:
    """Trains a network by one step and says what became of its parameters."""
    name, family = combination.split(" on ")
    role, head, targets = HEADS[name]
    torch.manual_seed(rank)  # from weights that only the first process gives
    network = Network(small_for(family, role), head, CLASSES, Preprocessing(SIZE), role=role)
    parallel = DistributedDataParallel(network, find_unused_parameters=False)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = flat(network)
    images = torch.rand(BATCH, 3, *SIZE)
    terms = network.head.loss(parallel(images), targets(rank))
    torch.stack(list(terms.values())).sum().backward()
    optimizer.step()
    after = flat(network)
    of_all = [torch.empty_like(after) for _ in range(PROCESSES)]
    dist.all_gather(of_all, after)
    return {
        "without gradient": [name for name, p in network.named_parameters() if p.grad is None],
        "alike": all(torch.equal(other, after) for other in of_all),
        "finite": bool(after.isfinite().all()),
        "moved": bool((after != before).any()),
    }


def flat(network: nn.Module) -> Tensor:
    """All parameters in a row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])
