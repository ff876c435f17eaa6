"""Which backbone to take: the leader of a task, and the choice below each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...compare.comparison import Pair
from .estimates import TaskEstimates
from .formats import format_difference, format_estimate, join_rows
from .results import Row


class Step(NamedTuple):
    """A choice that holds from its cost up to that of the next step.

    Attributes:
        row: what to take.
        cost: of it.
        tied: others that cost less than the next step and cannot be told apart from ``row``.
        higher: the difference of the highest of ``tied`` and ``row``, where its mean is higher; else None.
    """

    row: Row
    cost: float
    tied: list[Row]
    higher: Pair | None = None


class Rivals:
    """The best training of each backbone on a task, compared with each other.

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
        """Whether one is significantly better than another: its interval and its corrected p-value say so."""
        return self.pairs[frozenset((first, second))].better == str(first)

    def is_tied(self, first: Row, second: Row) -> bool:
        """Whether two cannot be told apart."""
        return first != second and self.pairs[frozenset((first, second))].better is None

    def climb(self, costs: Mapping[str, float]) -> list[Step]:
        """Returns what to take at which cost: the cheapest first, then each dearer one that is significantly better.

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
            self._make_step(row, costs, [other for other in by_cost if costs[other.backbone] < limit])
            for row, limit in zip(chosen, limits, strict=True)
        ]

    def _make_step(self, row: Row, costs: Mapping[str, float], affordable: Sequence[Row]) -> Step:
        """Returns the step of a row, beside others that cost less than the next step."""
        tied = [other for other in affordable if self.is_tied(row, other)]
        best = min(tied, key=self.rows.index, default=row)  # rows begin with the highest
        is_higher = self.rows.index(best) < self.rows.index(row)
        return Step(row, costs[row.backbone], tied, self.pairs[frozenset((best, row))] if is_higher else None)


def describe_leader(rivals: Rivals) -> str:
    """Says which backbone has the highest mean, and which cannot be told apart from it."""
    task = rivals.task
    if not rivals.rows:
        return f"{task.name}: no training is finished."
    first, *others = rivals.rows
    text = f"{task.name}: {first} has the highest {task.figure}, {format_estimate(task.estimates[first])}"
    tied = [row for row in others if rivals.is_tied(first, row)]
    if tied:
        text += f"; {join_rows(tied)} cannot be told apart from it"
    elif others:
        text += "; it is significantly better than all others"
    return f"{text}{describe_probe(rivals, first)}."


def describe_probe(rivals: Rivals, first: Row) -> str:
    """Says whether a probe, which trains nothing, has a higher mean of the same figure than the best training."""
    task = rivals.task
    probes = [row for row in task.estimates if row.is_probe and task.results.figure_of(row) == task.figure]
    best = max(probes, key=task.value, default=None)
    if best is None or not task.value(best) > task.value(first):
        return ""
    return f"; {best}, which trains no network, has {format_estimate(task.estimates[best])}"


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
    clauses = [f"{place} take {step.row}{describe_ties(step)}" for place, step in zip(places, steps, strict=True)]
    end = "; none is cheaper" if len(steps) > 1 else "; none is cheaper, and no dearer one is significantly better"
    return f"{name}, by {cost}: {'; '.join(clauses)}{end}."


def describe_ties(step: Step) -> str:
    """Says what cannot be told apart from the choice, and how much higher the highest of these may be."""
    if not step.tied:
        return ""
    text = f", which cannot be told apart from {join_rows(step.tied)}"
    if step.higher is None:
        return text
    return f"{text} ({step.higher.first} − {step.higher.second}: {format_difference(step.higher.difference)})"
