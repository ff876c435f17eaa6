"""The sections about the figures of each task, about shares of the labels, and about ranks over all tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .....errors import format_count
from ....compare.sentences import SIGNIFICANT
from ....pages import Html, Series, line_chart, rank_diagram
from ...probes.probe import NEIGHBOURS
from ..estimates import TaskEstimates
from ..formats import format_estimate, format_interval, link_seeds
from ..parts import Cell, Charts, Section, Table
from ..results import Row
from ..statistics.critical_difference import rank_blocks
from .fronts import Cost


def show_figures(task: TaskEstimates, costs: Sequence[Cost]) -> Section:
    """Shows all rows of a task with their intervals and costs."""
    header = ["backbone", "protocol", "share", "figure", "value", "cells by seed", *(cost.label for cost in costs)]
    rows: list[list[Cell]] = []
    for row, found in task.estimates.items():
        known = [cost.values.get(row.backbone) for cost in costs]
        texts = [format_interval(*value, cost.digits) for value, cost in zip(known, costs, strict=True) if value]
        named = [row.backbone, row.protocol, f"{row.share:g}", name_figure(task, row), format_estimate(found)]
        rows.append([*named, link_seeds(task.results.rows[row]), *texts])
    images = format_count(task.results.images, "images")
    caption = f"Means over the seeds on {images} of the {task.results.split} split, with 95 % intervals"
    return Section(f"{task.name}: figures", [Table(caption, header, rows, words=(0, 1, 3, 5))])


def name_figure(task: TaskEstimates, row: Row) -> str:
    """Returns the name of the figure of a row; k-NN has two numbers of neighbours, of which the first is evaluated."""
    figure = task.results.figure_of(row)
    return f"{figure}, k = {next(iter(NEIGHBOURS.values()))}" if row.protocol == "knn" else figure


def show_shares(tasks: Sequence[TaskEstimates]) -> Section:
    """Draws figures over shares of the training images, for backbones that have several."""
    charts: list[Html] = []
    rows: list[list[str]] = []
    for task in tasks:
        lines: dict[tuple[str, str], list[Row]] = {}
        for row in task.estimates:
            lines.setdefault((row.protocol, row.backbone), []).append(row)
        for protocol in dict.fromkeys(protocol for protocol, _ in lines):
            several = {name: rows for (of, name), rows in lines.items() if of == protocol and len(rows) > 1}
            series = [make_series(task, name, rows) for name, rows in several.items()]
            figures = [task.results.figure_of(rows[0]) for rows in several.values()]
            labels = ("share of the training images", figures[0] if figures else "")
            title = f"{task.name}, {protocol}"
            if series:
                charts.append(line_chart(title, labels, series, note="Bands are 95 % intervals.", is_log=True))
            for name, alike in several.items():
                ordered = sorted(alike, key=lambda row: row.share)
                texts = [f"{100 * row.share:g} %: {format_estimate(task.estimates[row])}" for row in ordered]
                rows.append([task.name, name, protocol, "; ".join(texts)])
    header = ["task", "backbone", "protocol", "figures"]
    table = Table("Figures by share of the training images", header, rows, words=(0, 1, 2, 3))
    return Section("Shares of the labels", [Charts(charts), table] if charts else [])


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
        f"Mean ranks over {format_count(ranking.count, 'blocks')}: each task with each seed. Rows that a bar joins "
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
