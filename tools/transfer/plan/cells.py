"""The cells of a study: which backbone is trained on which task, from what, on how much data, with which seed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from ....errors import UserError, format_count
from .contents import Block, Plan
from .protocols import PROTOCOLS, Protocol

RATE_SEED = 0  # of the trainings that choose a learning rate


@dataclass(frozen=True)
class Cell:
    """One training, or one probe.

    Attributes:
        task: name in the plan.
        backbone: name in the plan.
        weights: the backbone's pretrained weights; None from scratch.
        protocol: name of the protocol.
        share: share of the training images, above 0 up to 1.
        seed: fixes the drawn images, their order and augmentation, and the initial weights.
        learning_rate: None for that of the recipe.
        role: whether it counts itself or serves the choice of a learning rate.
    """

    task: str
    backbone: str
    weights: str | None
    protocol: str
    share: float = 1.0
    seed: int = 0
    learning_rate: float | None = None
    role: Literal["main", "learning rate"] = "main"

    def __str__(self) -> str:
        parts = [self.task, self.backbone, self.protocol, *describe_share(self.share)]
        parts += [f"seed {self.seed}"] if self.role == "main" else []
        parts += [f"learning rate {self.learning_rate:g}"] if self.role == "learning rate" else []
        return ", ".join(parts)

    @property
    def group(self) -> Group:
        """What its learning rate is chosen for."""
        return Group(self.task, self.backbone, self.protocol)

    @property
    def is_probe(self) -> bool:
        """Whether nothing is trained."""
        return PROTOCOLS[self.protocol].is_probe

    def as_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        return asdict(self)


def describe_share(share: float) -> list[str]:
    """Returns the words for a share of the training images; none for all images."""
    return [f"{100 * share:g} % of the images"] if share < 1 else []


class Group(NamedTuple):
    """Cells that share a learning rate, and in which a backbone can be impossible."""

    task: str
    backbone: str
    protocol: str

    def __str__(self) -> str:
        return ", ".join(self)


def list_cells(plan: Plan) -> list[Cell]:
    """Returns the main cells of the blocks, in their order, without the learning rates that are yet to be chosen.

    Raises:
        UserError: a cell is repeated.
    """
    cells = [cell for block in plan.blocks for cell in list_block(plan, block)]
    repeated = [cell for cell, count in Counter(normalise(cell) for cell in cells).items() if count > 1]
    if repeated:
        counted = format_count(len(repeated), "cells twice")
        raise UserError(f"The plan has {counted}, such as “{repeated[0]}”; change the blocks that name it.")
    return cells


def list_block(plan: Plan, block: Block) -> Iterator[Cell]:
    """Yields the cells of a block; a probe of all images, which does not depend on the seed, once for all seeds."""
    known: set[Cell] = set()
    for task, backbone, protocol, share, seed in itertools.product(
        block.tasks, block.backbones, block.protocols, block.shares, block.seeds
    ):
        cell = Cell(task, backbone, find_weights(plan, backbone, PROTOCOLS[protocol]), protocol, share, seed)
        if normalise(cell) not in known:
            known.add(normalise(cell))
            yield cell


def normalise(cell: Cell) -> Cell:
    """Returns the cell without what cannot change its figures: a probe of all images does not depend on the seed."""
    return replace(cell, seed=0) if cell.is_probe and cell.share == 1 else cell


def find_weights(plan: Plan, backbone: str, protocol: Protocol) -> str | None:
    """Returns the weights that a backbone starts from; None for random ones, or where the plan lacks them."""
    return plan.backbones[backbone].weights if protocol.needs_weights else None


def list_groups(cells: list[Cell]) -> list[Group]:
    """Returns the groups of trained cells, in their order."""
    return list(dict.fromkeys(cell.group for cell in cells if not cell.is_probe))


def list_rate_cells(plan: Plan, cells: list[Cell]) -> Iterator[Cell]:
    """Yields the trainings that choose the learning rates of ``cells``; none if the plan has no grid."""
    values = plan.learning_rates.values if plan.learning_rates else ()
    for group in list_groups(cells):
        weights = find_weights(plan, group.backbone, PROTOCOLS[group.protocol])
        for value in values:
            yield Cell(*group[:2], weights, group.protocol, 1.0, RATE_SEED, value, "learning rate")


def list_more_cells(plan: Plan, leaders: list[Group], cells: list[Cell]) -> list[Cell]:
    """Returns the cells of further seeds for the ``leaders`` of a task that are not among ``cells``."""
    assert plan.more_seeds is not None
    more = [
        Cell(*group[:2], find_weights(plan, group.backbone, PROTOCOLS[group.protocol]), group.protocol, 1.0, seed)
        for group in leaders
        for seed in plan.more_seeds.seeds
    ]
    return [cell for cell in more if cell not in cells]
