"""Training in two processes, in a module of its own because a process cannot import a test file."""

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
from support.families import SMALL, build_small

PROCESSES = 2
CLASSES = ("a", "b", "c")
SIZE = (64, 64)
BATCH = 2


def make_boxes(rank: int) -> BoxTargets:
    """Return one object in the first process and none in the second."""
    labels = torch.full((BATCH, 1), -1)
    labels[0] = -1 if rank else 1
    return BoxTargets(torch.tensor([[[4.0, 4.0, 40.0, 40.0]]] * BATCH), labels)


def make_label_maps(rank: int) -> Tensor:
    """Return random labels in the first process; in the second every pixel is ignored."""
    labels = torch.randint(len(CLASSES), (BATCH, *SIZE), generator=torch.Generator().manual_seed(0))
    return torch.full_like(labels, IGNORED) if rank else labels


HEADS: dict[str, tuple[str, HeadFactory, Callable[[int], Any]]] = {
    "SSDLite": ("detection", SSDLite, make_boxes),
    "LRASPP": ("segmentation", LRASPP, make_label_maps),
    "Classifier": ("classification", Classifier, lambda rank: torch.tensor([rank, 2])),
}
COMBINATIONS = [f"{head} on {family}" for family in SMALL for head in HEADS]


def train_all(folder: str, rank: int) -> None:
    """Trains one step of every combination in one process, and writes the outcomes to ``folder``."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=PROCESSES,
        timeout=datetime.timedelta(seconds=60),
    )
    outcome = {combination: train_step(combination, rank) for combination in COMBINATIONS}
    Path(folder, f"{rank}.json").write_text(json.dumps(outcome))
    dist.destroy_process_group()


def train_step(combination: str, rank: int) -> dict[str, Any]:
    """Trains a network for one step and reports on its parameters."""
    name, family = combination.split(" on ")
    role, head, targets = HEADS[name]
    torch.manual_seed(rank)  # DistributedDataParallel copies the weights of the first process
    network = Network(build_small(family, role), head, CLASSES, Preprocessing(SIZE), role=role)
    parallel = DistributedDataParallel(network, find_unused_parameters=False)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    before = flatten_parameters(network)
    images = torch.rand(BATCH, 3, *SIZE)
    terms = network.head.loss(parallel(images), targets(rank))
    torch.stack(list(terms.values())).sum().backward()
    optimizer.step()
    after = flatten_parameters(network)
    gathered = [torch.empty_like(after) for _ in range(PROCESSES)]
    dist.all_gather(gathered, after)
    return {
        "without gradient": [name for name, p in network.named_parameters() if p.grad is None],
        "alike": all(torch.equal(other, after) for other in gathered),
        "finite": bool(after.isfinite().all()),
        "moved": bool((after != before).any()),
    }


def flatten_parameters(network: nn.Module) -> Tensor:
    """Returns all parameters as one vector."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])
