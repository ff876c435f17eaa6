"""The section about the learning rates that were tried."""

from __future__ import annotations

from collections.abc import Sequence

from .....errors import format_count
from ....text_tables import NOTHING
from ..formats import make_link
from ..parts import Cell, Section, Table
from ..results import TaskResults, Trial


def show_rates(tasks: Sequence[TaskResults], trials: Sequence[Trial]) -> Section:
    """Shows the figure of each learning rate, and which one was chosen.

    Args:
        tasks: the finished cells.
        trials: finished trainings that choose a learning rate.
    """
    if not trials:
        return Section("Learning rates", [])
    rates = sorted({trial.rate for trial in trials})
    chosen = {
        (task.name, row.backbone, row.protocol): cells[0].record["cell"]["learning_rate"]
        for task in tasks
        for row, cells in task.rows.items()
    }
    groups: dict[tuple[str, str, str], dict[float, Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.group, {})[trial.rate] = trial
    rows: list[list[Cell]] = []
    for group, found in groups.items():
        values: list[Cell] = [
            make_link(describe(found[rate]), found[rate].digest) if rate in found else "" for rate in rates
        ]
        rate = chosen.get(group)
        rows.append([*group, *values, "" if rate is None else f"{rate:g}"])
    header = ["task", "backbone", "protocol", *(f"{rate:g}" for rate in rates), "chosen"]
    once = "Each rate was chosen once, with seed 0 on all images; the intervals of this report leave that out."
    caption = "Main figures of shorter trainings, on a part of the training images, by learning rate"
    table = Table(caption, header, rows, words=(0, 1, 2))
    return Section("Learning rates", [once, *describe_edges(groups, chosen), table])


def describe(trial: Trial) -> str:
    """Returns the figure of a trial."""
    if trial.value is None:
        return "diverged" if trial.has_diverged else NOTHING
    return f"{trial.value:.3f}"


def describe_edges(
    groups: dict[tuple[str, str, str], dict[float, Trial]], chosen: dict[tuple[str, str, str], float | None]
) -> list[str]:
    """Says where the chosen rate is the lowest or the highest that was tried, so that others may be better."""
    known = [group for group in groups if chosen.get(group) is not None]
    lowest = sum(chosen[group] == min(groups[group]) for group in known)
    highest = sum(chosen[group] == max(groups[group]) for group in known)
    if not lowest + highest:
        return []
    return [
        f"Of {format_count(len(known), 'chosen rates')}, {lowest} are the lowest that was tried and {highest} the "
        "highest: a wider grid may be better there."
    ]
