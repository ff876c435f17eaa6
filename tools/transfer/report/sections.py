"""The sections of the report about figures, costs and shares of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....errors import format_count
from ...compare.sentences import SIGNIFICANT
from ...pages import Html, Point, Series, line_chart, rank_diagram, scatter_chart
from .decisions import Rivals
from .estimates import Floats, TaskEstimates
from .formats import format_estimate, format_interval, link_seeds
from .parts import Cell, Charts, Section, Table
from .results import Row
from .statistics.critical_difference import rank_blocks
from .statistics.dominance import front_probabilities, pareto_front

Z = 1.959964  # half the width of a 95 % interval in standard deviations
Facts = Mapping[str, Any]


class Cost(NamedTuple):
    """A cost of networks.

    Attributes:
        label: what it is, with its unit, e.g. "ms (onnxruntime)".
        digits: of a text.
        values: by backbone, with the ends of the interval; those of exact values are NaN.
    """

    label: str
    digits: int
    values: dict[str, tuple[float, float, float]]

    @property
    def means(self) -> dict[str, float]:
        """The values alone."""
        return {name: value for name, (value, _, _) in self.values.items()}


def list_costs(facts: Facts) -> list[Cost]:
    """Returns the latencies of a task's networks on each engine, their multiply-adds and their parameters."""
    backbones = facts["backbones"]
    engines = dict.fromkeys(engine for found in backbones.values() for engine in found["latency"])
    costs = [
        Cost(
            f"ms ({engine})",
            2,
            {
                name: (found["latency"][engine]["milliseconds"], *found["latency"][engine]["milliseconds_interval"])
                for name, found in backbones.items()
            },
        )
        for engine in engines
    ]
    for label, key in (("M multiply-adds", "multiply_adds"), ("M parameters", "parameters")):
        exact = {name: (found[key] / 1e6, np.nan, np.nan) for name, found in backbones.items()}
        costs.append(Cost(label, 2, exact))
    return costs


def show_figures(task: TaskEstimates, costs: Sequence[Cost]) -> Section:
    """Shows all rows of a task with their intervals and costs."""
    header = ["backbone", "protocol", "share", "figure", "value", "cells by seed", *(cost.label for cost in costs)]
    rows: list[list[Cell]] = []
    for row, found in task.estimates.items():
        known = [cost.values.get(row.backbone) for cost in costs]
        texts = [format_interval(*value, cost.digits) for value, cost in zip(known, costs, strict=True) if value]
        named = [row.backbone, row.protocol, f"{row.share:g}", task.results.figure_of(row), format_estimate(found)]
        rows.append([*named, link_seeds(task.results.rows[row]), *texts])
    images = format_count(task.results.images, "images")
    caption = f"Means over the seeds on {images} of the {task.results.split} split, with 95 % intervals"
    return Section(f"{task.name}: figures", [Table(caption, header, rows, words=(0, 1, 3, 5))])


def show_fronts(rivals: Rivals, costs: Sequence[Cost]) -> Section:
    """Shows the Pareto fronts of a task's main figure against each cost."""
    task = rivals.task
    rows = [row for row in rivals.rows if all(row.backbone in cost.values for cost in costs)]
    if len(rows) < 2:
        return Section("", [])
    charts = [draw_front(task, rows, cost) for cost in costs]
    note = (
        "Each backbone counts with its best protocol on all images. It is on the front if no other one is better at "
        "the same cost or less. P(front) says how often that is so when images, seeds and latencies are resampled; "
        "with the rest of the probability, another one dominates it."
    )
    return Section(f"{task.name}: figure against cost", [note, Charts(charts), list_fronts(task, rows, costs)])


def draw_front(task: TaskEstimates, rows: Sequence[Row], cost: Cost) -> Html:
    """Draws the figures of rows against a cost."""
    points = [
        Point(
            row.backbone,
            row.protocol,
            cost.values[row.backbone],
            (task.value(row), *task.estimates[row].interval),
        )
        for row in rows
    ]
    best = pareto_front(
        np.array([cost.means[row.backbone] for row in rows]), np.array([task.value(row) for row in rows])
    )
    front = [rows[k].backbone for k in best]
    title = f"{task.figure} against {cost.label}"
    return scatter_chart(title, (cost.label, task.figure), points, "Lines are 95 % intervals.", front=front)


def list_fronts(task: TaskEstimates, rows: Sequence[Row], costs: Sequence[Cost]) -> Table:
    """Lists rows with their costs, and with their probabilities of being on the fronts."""
    drawn = np.stack([task.draw(row) for row in rows], axis=1)
    probabilities = [front_probabilities(draw_costs(cost, rows, len(drawn)), drawn) for cost in costs]
    body: list[list[str]] = []
    for k, row in enumerate(rows):
        body.append([row.backbone, row.protocol, format_estimate(task.estimates[row])])
        for cost, found in zip(costs, probabilities, strict=True):
            body[-1] += [format_interval(*cost.values[row.backbone], cost.digits), f"{found[k]:.2f}"]
    header = ["backbone", "protocol", task.figure]
    header += [title for cost in costs for title in (cost.label, "P(front)")]
    return Table(f"{task.figure} and costs, from the highest figure to the lowest", header, body, words=(0, 1))


def draw_costs(cost: Cost, rows: Sequence[Row], resamples: int) -> Floats:
    """Returns costs that are as likely as their intervals allow, ``[R, K]``."""
    random = np.random.default_rng(0)
    values = np.array([cost.values[row.backbone] for row in rows])
    deviations = np.nan_to_num((values[:, 2] - values[:, 1]) / (2 * Z))
    return values[:, 0] + deviations * random.standard_normal((resamples, len(rows)))


def show_shares(tasks: Sequence[TaskEstimates]) -> Section:
    """Draws figures over shares of the training images, for backbones that have several."""
    charts: list[Html] = []
    for task in tasks:
        lines: dict[tuple[str, str], list[Row]] = {}
        for row in task.estimates:
            lines.setdefault((row.protocol, row.backbone), []).append(row)
        for protocol in dict.fromkeys(protocol for protocol, _ in lines):
            several = {name: rows for (of, name), rows in lines.items() if of == protocol and len(rows) > 1}
            series = [make_series(task, name, rows) for name, rows in several.items()]
            labels = ("share of the training images", task.figure)
            title = f"{task.name}, {protocol}"
            if series:
                charts.append(line_chart(title, labels, series, note="Bands are 95 % intervals.", is_log=True))
    return Section("Shares of the labels", [Charts(charts)] if charts else [])


def make_series(task: TaskEstimates, name: str, rows: Sequence[Row]) -> Series:
    """Returns the line of a backbone over its shares, with its band."""
    ordered = sorted(rows, key=lambda row: row.share)
    ends = np.array([task.estimates[row].interval for row in ordered])
    values = [task.value(row) for row in ordered]
    return Series(name, [row.share for row in ordered], values, ends[:, 0], ends[:, 1])


def show_ranks(tasks: Sequence[TaskEstimates]) -> Section:
    """Draws the critical-difference diagram of all trainings that every task has, by task and seed."""
    shared = [row for row in tasks[0].trained_rows() if all(row in task.estimates for task in tasks)]
    seeds = {task.name: [{cell.seed for cell in task.results.rows[row]} for row in shared] for task in tasks}
    blocks = [(task, seed) for task in tasks for seed in sorted(set.intersection(*seeds[task.name]) if shared else [])]
    values = [[value_of_seed(task, row, seed) for row in shared] for task, seed in blocks]
    ranking = rank_blocks(np.array(values), [str(row) for row in shared]) if blocks else None
    if ranking is None:
        return Section("Ranks over all tasks", [])
    text = (
        f"Mean ranks over {format_count(len(blocks), 'blocks')}: each task with each seed. Rows that a bar joins "
        "cannot be told apart by Nemenyi's test at 5 %. Blocks of one task share its images, so the test is about "
        "other seeds of these tasks, not about other tasks. "
        f"Friedman's test of equal ranks has p = {ranking.p_value:.2g}"
        f"{', so the bars say little: all ranks may be equal' if ranking.p_value >= SIGNIFICANT else ''}."
    )
    chart = rank_diagram("Critical differences", ranking.ranks, ranking.groups, ranking.distance)
    rows = [[name, f"{rank:.2f}"] for name, rank in sorted(ranking.ranks.items(), key=lambda item: item[1])]
    caption = f"Mean ranks; the critical distance is {ranking.distance:.2f}"
    return Section("Ranks over all tasks", [text, Charts([chart]), Table(caption, ["training", "mean rank"], rows)])


def value_of_seed(task: TaskEstimates, row: Row, seed: int) -> float:
    """Returns the figure of the cell of a row with a seed."""
    seeds = [cell.seed for cell in task.results.rows[row]]
    return float(task.estimates[row].values[seeds.index(seed)])
