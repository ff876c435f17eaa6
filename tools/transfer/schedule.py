"""The order of a study: learning rates first, then the main cells with them, then more seeds for the leaders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...errors import UserError
from .cells import Cell, Group, list_groups, list_more_cells, list_rate_cells
from .resolve import ResolvedCell, Resolver
from .store import Study


class Refusal(NamedTuple):
    """A cell that cannot work, and the reason without a full stop."""

    cell: Cell
    reason: str


class Schedule:
    """Says which cells of a study can run now.

    Args:
        resolver: of the plan.
        study: its folder.
        cells: main cells of the plan, see :func:`.cells.list_cells`.

    Attributes:
        known: cells by hash, as far as their learning rates are known, in the order in which they run.
        rates: chosen learning rates.
        blocked: groups whose learning rate cannot be chosen, with the reason.
    """

    def __init__(self, resolver: Resolver, study: Study, cells: Sequence[Cell]) -> None:
        self.plan = resolver.plan
        self.resolver = resolver
        self.study = study
        self.known: dict[str, ResolvedCell] = {}
        self.rates: dict[Group, float | None] = {}
        self.blocked: dict[Group, str] = {}
        self._cells = list(cells)
        self._waiting = {} if self.plan.learning_rates is None else self._group_cells()
        self._tasks = list(self.plan.tasks) if self.plan.more_seeds else []  # whose leaders are yet to be found
        self._failed: dict[str, str] = {}

    def _group_cells(self) -> dict[Group, list[Cell]]:
        return {group: [cell for cell in self._cells if cell.group == group] for group in list_groups(self._cells)}

    def first_cells(self) -> list[ResolvedCell]:
        """Returns all cells that need no result, those for learning rates first; finished ones too."""
        rate_cells = list(list_rate_cells(self.plan, self._cells))
        ready = [cell for cell in self._cells if cell.group not in self._waiting]
        return self._add([*rate_cells, *ready])

    def next_cells(self) -> list[ResolvedCell]:
        """Returns the cells that can run since the last call; finished ones too."""
        new: list[ResolvedCell] = []
        for group in [group for group in self._waiting if self._has_ended(group)]:
            cells = self._waiting.pop(group)
            rate = self._choose_rate(group)
            if rate is not None:
                self.rates[group] = rate
                new += self._add([replace(cell, learning_rate=rate) for cell in cells])
        for task in [task for task in self._tasks if self._is_complete(task)]:
            self._tasks.remove(task)
            more = list_more_cells(self.plan, self.find_leaders(task), self._cells)
            new += self._add([replace(cell, learning_rate=self.rates.get(cell.group)) for cell in more])
        return new

    def fail(self, digest: str, reason: str) -> None:
        """Records that a cell has failed in this session."""
        self._failed[digest] = reason

    def _add(self, cells: Sequence[Cell]) -> list[ResolvedCell]:
        """Resolves cells, and returns them without those that are known."""
        resolved = [self.resolver.resolve(cell) for cell in cells]
        new = [entry for entry in resolved if entry.hash not in self.known]
        self.known |= {entry.hash: entry for entry in new}
        return new

    def _select(self, role: str, **options: str) -> list[ResolvedCell]:
        """Returns known cells with a role, and with values such as ``task="cells"``."""
        cells = [entry for entry in self.known.values() if entry.cell.role == role]
        return [entry for entry in cells if all(getattr(entry.cell, key) == value for key, value in options.items())]

    def _is_over(self, entry: ResolvedCell) -> bool:
        return entry.hash in self._failed or self.study.is_finished(entry.hash)

    def _has_ended(self, group: Group) -> bool:
        """Whether all trials of a group's learning rate are over."""
        return all(self._is_over(entry) for entry in self._select("learning rate", **group._asdict()))

    def _choose_rate(self, group: Group) -> float | None:
        """Returns the learning rate with the highest figure, the smallest of equal ones; None if it is unknown."""
        trials = self._select("learning rate", **group._asdict())
        if any(trial.hash in self._failed and not self.study.is_finished(trial.hash) for trial in trials):
            self.blocked[group] = "a trial of its learning rate failed"
            return None
        values = {trial.cell.learning_rate: self._value(trial) for trial in trials}
        defined = {rate: value for rate, value in values.items() if rate is not None and not math.isnan(value)}
        if not defined:
            self.blocked[group] = "the training diverged at all learning rates"
            return None
        return min(defined, key=lambda rate: (-defined[rate], rate))

    def _value(self, entry: ResolvedCell) -> float:
        """Returns the main figure of a finished cell; NaN where it is undefined."""
        value: Any = self.study.read_cell(entry.hash).get("value")
        return math.nan if value is None else float(value)

    def _is_complete(self, task: str) -> bool:
        """Whether all main cells of the plan's blocks on ``task`` are finished.

        While one has failed, leaders would depend on which.
        """
        open_groups = {*self._waiting, *self.blocked}
        return not any(group.task == task for group in open_groups) and all(
            self.study.is_finished(entry.hash) for entry in self._select("main", task=task)
        )

    def find_leaders(self, task: str) -> list[Group]:
        """Returns the backbones with the highest mean figure on all images of a task, each with its best protocol."""
        means: dict[Group, float] = {}
        for group in list_groups([cell for cell in self._cells if cell.task == task]):
            cells = [entry for entry in self._select("main", **group._asdict()) if entry.cell.share == 1]
            values = [self._value(entry) for entry in cells if self.study.is_finished(entry.hash)]
            if values and not np.isnan(values).all():
                means[group] = float(np.nanmean(values))
        best: dict[str, Group] = {}
        for group in sorted(means, key=lambda group: (-means[group], group)):
            best.setdefault(group.backbone, group)
        assert self.plan.more_seeds is not None
        return list(best.values())[: self.plan.more_seeds.leaders]

    def count_more(self) -> int:
        """Returns the number of cells of more seeds that are not known yet."""
        more = self.plan.more_seeds
        if more is None:
            return 0
        backbones = {
            task: {cell.backbone for cell in self._cells if cell.task == task and not cell.is_probe}
            for task in self._tasks
        }
        return sum(len(more.seeds) * min(more.leaders, len(names)) for names in backbones.values())

    def count_waiting(self) -> int:
        """Returns the number of main cells whose learning rates are not chosen yet."""
        return sum(len(cells) for cells in self._waiting.values())


def find_refusals(resolver: Resolver, cells: Sequence[Cell]) -> list[Refusal]:
    """Returns the cells that cannot work, e.g. because data or weights are missing.

    Args:
        resolver: of the plan.
        cells: all cells, main ones without the learning rates that are yet to be chosen.
    """
    refusals, by_hash = [], dict[str, Cell]()
    for cell in cells:
        try:
            resolved = resolver.resolve(cell)
        except UserError as error:
            group = f"{cell.group}: "
            refusals.append(Refusal(cell, str(error).removeprefix(group).rstrip(".")))
            continue
        other = by_hash.setdefault(resolved.hash, cell)
        if other is not cell:
            refusals.append(Refusal(cell, f"it is the same training as “{other}”"))
    return refusals
