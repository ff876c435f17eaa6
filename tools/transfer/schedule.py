"""The order of a study: learning rates first, then the main cells with them, then more seeds for the leaders.

A race holds main cells until cheaper ones are over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...errors import UserError, format_count
from .plan.cells import Cell, Group, list_groups, list_more_cells, list_rate_cells
from .race import Race
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
        race: holds and drops cells; None runs all.

    Attributes:
        known: cells by hash, as far as they can run and their learning rates are known, in the order in which they run.
        open: main cells that wait for a learning rate, or for cheaper cells of a race.
        dropped: main cells that do not run, because their backbone has dropped out of the race.
        rates: chosen learning rates.
        blocked: groups whose learning rate cannot be chosen, with the reason.
    """

    def __init__(self, resolver: Resolver, study: Study, cells: Sequence[Cell], race: Race | None = None) -> None:
        self.plan = resolver.plan
        self.resolver = resolver
        self.study = study
        self.race = race
        self.known: dict[str, ResolvedCell] = {}
        self.open = list(cells)
        self.dropped: list[Cell] = []
        self.rates: dict[Group, float] = {}
        self.blocked: dict[Group, str] = {}
        self._cells = tuple(cells)
        self._hashes: dict[Cell, str] = {}  # of the plan's main cells that are known
        self._trials: dict[Group, list[ResolvedCell]] = {}  # of learning rates
        self._tasks = list(self.plan.tasks) if self.plan.more_seeds else []  # whose leaders are yet to be found
        self._failed: dict[str, str] = {}

    def list_hashes(self) -> list[str]:
        """Returns the hashes of all cells of the plan that do not depend on a result."""
        cells = [cell for cell in self._cells if not self._needs_rate(cell)]
        return [self.resolver.resolve(cell).hash for cell in (*list_rate_cells(self.plan, list(self._cells)), *cells)]

    def next_cells(self) -> list[ResolvedCell]:
        """Returns the cells that can run since the last call, those for learning rates first; finished ones too."""
        count = len(self.known)
        while self._advance():
            pass
        return list(self.known.values())[count:]

    def fail(self, digest: str, reason: str) -> None:
        """Records that a cell has failed in this session."""
        self._failed[digest] = reason

    def take_notes(self) -> list[str]:
        """Returns sentences for the user since the last call."""
        if self.race is None:
            return []
        notes, self.race.notes = self.race.notes, []
        return notes

    def _advance(self) -> bool:
        """Looks at each open cell, and then for leaders; returns whether anything has changed."""
        before = len(self.known), len(self.open)
        if self.race is not None:
            self.race.update(self._find_ends())
            self.dropped += [cell for cell in self.open if self.race.is_dropped(cell)]
        ready = [cell for cell in self.open if self.race is None or not self.race.is_held(cell)]
        ready = [cell for cell in ready if cell not in self.dropped]
        for group in list_groups([cell for cell in ready if self._needs_rate(cell) and cell.group not in self.rates]):
            self._choose_rate(group)
        for cell in ready:
            if cell.group in self.rates or not self._needs_rate(cell):
                (self._hashes[cell],) = self._add([cell])
        self.open = [
            cell
            for cell in self.open
            if cell not in self._hashes and cell not in self.dropped and cell.group not in self.blocked
        ]
        self._add_more_cells()
        return before != (len(self.known), len(self.open))

    def _add_more_cells(self) -> None:
        """Adds more seeds for the leaders of each task whose cells are finished.

        While one has failed, leaders would depend on which.
        """
        for task in [task for task in self._tasks if not self._list_unfinished(task)]:
            self._tasks.remove(task)
            self._add(list_more_cells(self.plan, self.find_leaders(task), list(self._cells)))

    def _needs_rate(self, cell: Cell) -> bool:
        """Whether a learning rate has to be chosen for a main cell."""
        return self.plan.learning_rates is not None and not cell.is_probe

    def _add(self, cells: Sequence[Cell]) -> list[str]:
        """Adds cells to the known ones, main ones with their learning rates; returns their hashes."""
        rated = [
            replace(cell, learning_rate=self.rates.get(cell.group)) if cell.role == "main" else cell for cell in cells
        ]
        resolved = [self.resolver.resolve(cell) for cell in rated]
        for entry in resolved:
            self.known.setdefault(entry.hash, entry)
        return [entry.hash for entry in resolved]

    def _select(self, role: str, **options: str) -> list[ResolvedCell]:
        """Returns known cells with a role, and with values such as ``task="cells"``."""
        cells = [entry for entry in self.known.values() if entry.cell.role == role]
        return [entry for entry in cells if all(getattr(entry.cell, key) == value for key, value in options.items())]

    def _is_over(self, digest: str) -> bool:
        return digest in self._failed or self.study.is_finished(digest)

    def _find_ends(self) -> dict[Cell, str | None]:
        """Returns the hash of each main cell of the plan that is finished; None for each that failed or is blocked."""
        ends = {
            cell: digest if self.study.is_finished(digest) else None
            for cell, digest in self._hashes.items()
            if self._is_over(digest)
        }
        return ends | dict.fromkeys(cell for cell in self._cells if cell.group in self.blocked)

    def _choose_rate(self, group: Group) -> None:
        """Chooses the learning rate with the highest figure, the smallest of equal ones, once its trials are over."""
        if group not in self._trials:
            cells = list_rate_cells(self.plan, [cell for cell in self._cells if cell.group == group])
            self._trials[group] = [self.known[digest] for digest in self._add(list(cells))]
        trials = self._trials[group]
        if not all(self._is_over(trial.hash) for trial in trials):
            return
        if not all(self.study.is_finished(trial.hash) for trial in trials):
            self.blocked[group] = "a trial of its learning rate failed"
            return
        values = {trial.cell.learning_rate: self._value(trial) for trial in trials}
        defined = {rate: value for rate, value in values.items() if rate is not None and not math.isnan(value)}
        if defined:
            self.rates[group] = min(defined, key=lambda rate: (-defined[rate], rate))
        else:
            self.blocked[group] = "the training diverged at all learning rates"

    def _value(self, entry: ResolvedCell) -> float:
        """Returns the main figure of a finished cell; NaN where it is undefined."""
        value: Any = self.study.read_cell(entry.hash).get("value")
        return math.nan if value is None else float(value)

    def _list_unfinished(self, task: str) -> list[Cell]:
        """Returns the main cells of the plan's blocks on ``task`` that are not finished and not dropped."""
        over = {cell for cell, digest in self._hashes.items() if self.study.is_finished(digest)}.union(self.dropped)
        return [cell for cell in self._cells if cell.task == task and cell not in over]

    def find_leaders(self, task: str) -> list[Group]:
        """Returns the backbones with the highest mean figure on all images of a task, each with its best protocol."""
        means: dict[Group, float] = {}
        for group in list_groups([cell for cell in self._cells if cell.task == task]):
            cells = [entry for entry in self._select("main", **group._asdict()) if entry.cell.share == 1]
            values = [self._value(entry) for entry in cells if self.study.is_finished(entry.hash)]
            if values and not np.isnan(values).any():  # as in the report, where such a mean is undefined
                means[group] = float(np.mean(values))
        best: dict[str, Group] = {}
        for group in sorted(means, key=lambda group: (-means[group], group)):
            best.setdefault(group.backbone, group)
        assert self.plan.more_seeds is not None
        return list(best.values())[: self.plan.more_seeds.leaders]

    def count_more(self) -> int:
        """Returns the highest number of cells of more seeds that are not known yet."""
        more = self.plan.more_seeds
        if more is None:
            return 0
        backbones = {
            task: {cell.backbone for cell in self._cells if cell.task == task and not cell.is_probe}
            for task in self._tasks
        }
        return sum(len(more.seeds) * min(more.leaders, len(names)) for names in backbones.values())

    def explain_missing_seeds(self) -> list[str]:
        """Returns a sentence for each task whose leaders got no more seeds, once nothing runs any more."""
        sentences = []
        for task in self._tasks:
            first, *others = self._list_unfinished(task)
            others = f" and {format_count(len(others), 'other cells')}" if others else ""
            sentences.append(f"{task}: the leaders got no more seeds, because “{first}”{others} did not finish.")
        return sentences


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
