"""Reads the finished cells of a study, by task and by row of the report."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ....errors import EvaluationError, UserError
from ....tasks.evidence import Evidence
from ...compare.checks import describe_mismatch
from ...evaluations import read_evaluation
from ..plan.cells import describe_share
from ..plan.contents import Plan
from ..plan.protocols import PROBE_FIGURE, PROTOCOLS
from ..store import Study


class Row(NamedTuple):
    """What one figure of the report is about; its cells differ in the seed only."""

    backbone: str
    protocol: str
    share: float = 1.0

    @property
    def is_probe(self) -> bool:
        """Whether nothing is trained."""
        return PROTOCOLS[self.protocol].is_probe

    def __str__(self) -> str:
        return f"{self.backbone} ({', '.join([self.protocol, *describe_share(self.share)])})"


class Result(NamedTuple):
    """A finished cell.

    Attributes:
        digest: its hash.
        record: content of its ``cell.json``.
        evidence: what its evaluation kept.
    """

    digest: str
    record: dict[str, Any]
    evidence: Evidence

    @property
    def seed(self) -> int:
        """Its seed."""
        return self.record["cell"]["seed"]


class Trial(NamedTuple):
    """A finished training that serves the choice of a learning rate.

    Attributes:
        group: names of task, backbone and protocol.
        rate: the learning rate.
        value: its main figure; None if it is undefined.
        has_diverged: whether its weights became NaN.
        digest: its hash.
    """

    group: tuple[str, str, str]
    rate: float
    value: float | None
    has_diverged: bool
    digest: str


@dataclass(frozen=True)
class TaskResults:
    """The finished cells of a task, of which there is at least one.

    Attributes:
        name: of the task.
        split: evaluated split, "val" or "test".
        figure: name of the main figure of trainings, e.g. "AP".
        rows: finished cells of each row, by seed.
    """

    name: str
    split: str
    figure: str
    rows: dict[Row, list[Result]]

    @property
    def any_evidence(self) -> Evidence:
        """The evidence of one of the cells, for what all have in common."""
        return next(iter(self.rows.values()))[0].evidence

    @property
    def images(self) -> int:
        """Number of evaluated images."""
        return len(self.any_evidence.names)

    def figure_of(self, row: Row) -> str:
        """Returns the name of the figure of a row: that of trainings, where probes have it too."""
        return self.figure if self.figure in self.rows[row][0].evidence.figure_names else PROBE_FIGURE


def read_results(study: Study, plan: Plan, hashes: Collection[str] | None = None) -> list[TaskResults]:
    """Reads the finished main cells of the plan's tasks and backbones, in the order of the plan.

    Args:
        study: the study.
        plan: its plan.
        hashes: of the plan's cells, where they are known: others are left out.

    Raises:
        UserError: no cell is finished, one is damaged, or two are the same cell of different plans.
    """
    found: dict[tuple[str, Row, int], Result] = {}
    for digest, record in study.read_cells().items():
        cell = record["cell"]
        is_known = hashes is None or digest in hashes
        is_named = cell["task"] in plan.tasks and cell["backbone"] in plan.backbones
        if cell["role"] != "main" or not is_known or not is_named:
            continue
        key = cell["task"], Row(cell["backbone"], cell["protocol"], cell["share"]), cell["seed"]
        if key in found:
            raise UserError(
                f"{study.folder} has two cells of “{key[0]}, {key[1]}, seed {key[2]}”, of different plans: "
                f"{found[key].digest} and {digest}; run the plan, which reports its own, or remove one."
            )
        found[key] = Result(digest, record, read_cell_evidence(study.cell_folder(digest), record["split"]))
    if not found:
        raise UserError(f"{study.folder} has no finished cell of this plan to report.")
    return [collect_task(task, plan, found) for task in plan.tasks if any(key[0] == task for key in found)]


def read_trials(study: Study, plan: Plan, hashes: Collection[str] | None = None) -> list[Trial]:
    """Reads the finished trainings that choose learning rates, in the order of the plan; see :func:`read_results`."""
    tasks, backbones = list(plan.tasks), list(plan.backbones)
    trials: list[Trial] = []
    for digest, record in study.read_cells().items():
        cell = record["cell"]
        is_known = hashes is None or digest in hashes
        if is_known and cell["role"] != "main" and cell["task"] in tasks and cell["backbone"] in backbones:
            group = cell["task"], cell["backbone"], cell["protocol"]
            trials.append(Trial(group, cell["learning_rate"], record["value"], "diverged" in record, digest))
    protocols = list(PROTOCOLS)

    def sort_key(trial: Trial) -> tuple[float, ...]:
        task, backbone, protocol = trial.group
        return tasks.index(task), backbones.index(backbone), protocols.index(protocol), trial.rate

    return sorted(trials, key=sort_key)


def read_cell_evidence(folder: Path, split: str) -> Evidence:
    """Reads the evidence of a finished cell.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        return read_evaluation(folder, split).evidence
    except EvaluationError as error:
        raise UserError(f"The cell {folder} has no readable evidence; remove the folder, and it runs again.") from error


def collect_task(task: str, plan: Plan, found: dict[tuple[str, Row, int], Result]) -> TaskResults:
    """Collects the cells of a task by row, in the order of backbones and protocols.

    Raises:
        UserError: cells were evaluated on different images.
    """
    backbones, protocols = list(plan.backbones), list(PROTOCOLS)
    own = {(row, seed): result for (name, row, seed), result in found.items() if name == task}
    order = sorted(own, key=lambda key: sort_key(key[0], backbones, protocols, key[1]))
    rows: dict[Row, list[Result]] = {}
    for row, seed in order:
        rows.setdefault(row, []).append(own[row, seed])
    check_images(task, rows)
    trained = [results[0].record["main_figure"] for row, results in rows.items() if not row.is_probe]
    any_cell = next(iter(rows.values()))[0]
    figure = trained[0] if trained else any_cell.evidence.figure_names[0]
    return TaskResults(task, any_cell.record["split"], figure, rows)


def sort_key(row: Row, backbones: list[str], protocols: list[str], seed: int) -> tuple[float, ...]:
    """Returns what sorts cells: by backbone, protocol, share from all images to few, and seed."""
    return backbones.index(row.backbone), protocols.index(row.protocol), -row.share, seed


def check_images(task: str, rows: dict[Row, list[Result]]) -> None:
    """Raises UserError if two cells of a task were evaluated on different images or annotations."""
    results = [(row, result) for row, found in rows.items() for result in found]
    references: dict[str, tuple[Result, list[str]]] = {}  # by role, because probes count objects or cells
    for row, result in results:
        first, hashes = references.setdefault(result.evidence.role, (result, result.evidence.hash_annotations()))
        if difference := describe_mismatch(first.evidence, result.evidence, hashes):
            cells = f"The cells {first.digest} and {result.digest} ({row}) of {task}"
            raise UserError(f"{cells} cannot be compared: {difference}; remove the folder of the older one.")
