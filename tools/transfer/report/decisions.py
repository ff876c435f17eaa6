"""Which backbone to take: the leader of a task, and the choice below each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...compare.comparison import Pair
from .estimates import TaskEstimates
from .formats import format_estimate, join_rows
from .results import Row


class Step(NamedTuple):
    """A choice that holds from its cost up to that of the next step.

    Attributes:
        row: what to take.
        cost: of it.
        tied: others that cost less than the next step and cannot be told apart from ``row``.
    """

    row: Row
    cost: float
    tied: list[Row]


class Rivals:
    """The best training of each backbone on all images of a task, compared with each other.

    A backbone counts with the protocol that has the highest mean.

    Args:
        task: estimates of the task.

    Attributes:
        rows: from the highest mean to the lowest.
    """

    def __init__(self, task: TaskEstimates) -> None:
        self.task = task
        best = task.best_rows(task.trained_rows()).values()
        self.rows = sorted(best, key=lambda row: -task.value(row))
        chosen = [(first, second) for k, first in enumerate(self.rows) for second in self.rows[k + 1 :]]
        self.pairs: dict[frozenset[Row], Pair] = {
            frozenset(rows): pair for rows, pair in zip(chosen, task.compare_rows(chosen), strict=True)
        }

    def is_better(self, first: Row, second: Row) -> bool:
        """Whether one is certain to be better than another: its interval and its corrected p-value say so."""
        return self.pairs[frozenset((first, second))].better == str(first)

    def is_tied(self, first: Row, second: Row) -> bool:
        """Whether two cannot be told apart."""
        return first != second and self.pairs[frozenset((first, second))].better is None

    def climb(self, costs: Mapping[str, float]) -> list[Step]:
        """Returns what to take at which cost: the cheapest first, then each dearer one that is certain to be better.

        Args:
            costs: by backbone; a backbone without one is left out.
        """
        by_cost = sorted((row for row in self.rows if row.backbone in costs), key=lambda row: costs[row.backbone])
        chosen: list[Row] = []
        for row in by_cost:
            if not chosen or self.is_better(row, chosen[-1]):
                chosen.append(row)
        limits = [*(costs[row.backbone] for row in chosen[1:]), float("inf")]
        return [
            Step(
                row,
                costs[row.backbone],
                [other for other in by_cost if costs[other.backbone] < limit and self.is_tied(row, other)],
            )
            for row, limit in zip(chosen, limits, strict=True)
        ]


def describe_leader(rivals: Rivals) -> str:
    """Says which backbone has the highest mean, and which cannot be told apart from it."""
    task = rivals.task
    if not rivals.rows:
        return f"{task.name}: no training is finished."
    first, *others = rivals.rows
    text = f"{task.name}: {first} has the highest {task.figure}, {format_estimate(task.estimates[first])}"
    tied = [row for row in others if rivals.is_tied(first, row)]
    if tied:
        return f"{text}; {join_rows(tied)} cannot be told apart from it."
    return f"{text}; it is better than all others." if others else f"{text}."


def describe_steps(name: str, steps: Sequence[Step], cost: str, digits: int) -> str:
    """Says what to take at which cost.

    Args:
        name: of the task.
        steps: see :meth:`Rivals.climb`.
        cost: what it is, with its unit, e.g. "ms (onnxruntime)".
        digits: of the costs.
    """
    costs = [f"{step.cost:,.{digits}f}" for step in steps]
    places = [f"from {low} to {high}" for low, high in pairwise(costs)] + [f"from {costs[-1]} on"]
    places[0] = f"below {costs[1]}" if len(steps) > 1 else "at any cost"
    clauses: list[str] = []
    for place, step in zip(places, steps, strict=True):
        tied = f", which cannot be told apart from {join_rows(step.tied)}" if step.tied else ""
        clauses.append(f"{place} take {step.row}{tied}")
    if len(steps) == 1:
        clauses.append(f"it is the cheapest with {costs[0]}, and no dearer one is certain to be better")
    return f"{name}, by {cost}: {'; '.join(clauses)}."
