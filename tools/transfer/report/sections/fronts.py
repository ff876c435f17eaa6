"""The section about figures against costs, with Pareto fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ....compare.bootstrap import Z
from ....pages import Html, Point, scatter_chart
from ....text_tables import NOTHING
from ..decisions import Rivals
from ..estimates import Floats, TaskEstimates
from ..formats import format_estimate, format_interval
from ..parts import Charts, Section, Table
from ..results import Row
from ..statistics.dominance import dominance, front_probabilities, pareto_front

LEAST = 0.005  # a probability that is not 0.00
Facts = Mapping[str, Any]


class Cost(NamedTuple):
    """A cost of networks.

    Attributes:
        label: what it is, with its unit, e.g. "ms (onnxruntime)".
        digits: of a text.
        values: by backbone, with the ends of the interval; those of exact values are NaN.
        is_latency: whether it was measured on an engine.
    """

    label: str
    digits: int
    values: dict[str, tuple[float, float, float]]
    is_latency: bool = False

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
            is_latency=True,
        )
        for engine in engines
    ]
    for label, key in (("M multiply-adds", "multiply_adds"), ("M parameters", "parameters")):
        exact = {name: (found[key] / 1e6, np.nan, np.nan) for name, found in backbones.items()}
        costs.append(Cost(label, 2, exact))
    return costs


def show_fronts(rivals: Rivals, costs: Sequence[Cost]) -> Section:
    """Shows the Pareto fronts of a task's main figure against each cost."""
    task = rivals.task
    rows = [row for row in rivals.rows if all(row.backbone in cost.values for cost in costs)]
    if len(rows) < 2:
        return Section("", [])
    charts = [draw_front(task, rows, cost) for cost in costs]
    note = (
        "Each backbone counts with its best protocol. It is on the front if no other one is better at the same cost or "
        "less. P(front) is the share of the resamples of images, seeds and latencies in which that is so; else another "
        f"one dominates it. The last column names the one that most often does by {costs[0].label}."
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
    dominated = dominance(draw_costs(costs[0], rows, len(drawn)), drawn)
    body: list[list[str]] = []
    for k, row in enumerate(rows):
        body.append([row.backbone, row.protocol, format_estimate(task.estimates[row])])
        for cost, found in zip(costs, probabilities, strict=True):
            body[-1] += [format_interval(*cost.values[row.backbone], cost.digits), f"{found[k]:.2f}"]
        first = int(dominated[:, k].argmax())
        probability = dominated[first, k]
        body[-1].append(f"{rows[first].backbone}, {probability:.2f}" if probability >= LEAST else NOTHING)
    header = ["backbone", "protocol", task.figure]
    header += [title for cost in costs for title in (cost.label, "P(front)")]
    header.append("dominated by")
    caption = f"{task.figure} and costs, from the highest figure to the lowest"
    return Table(caption, header, body, words=(0, 1, len(header) - 1))


def draw_costs(cost: Cost, rows: Sequence[Row], resamples: int) -> Floats:
    """Returns costs that are as likely as their intervals allow, ``[R, K]``."""
    random = np.random.default_rng(0)
    values = np.array([cost.values[row.backbone] for row in rows])
    deviations = np.nan_to_num((values[:, 2] - values[:, 1]) / (2 * Z))
    return values[:, 0] + deviations * random.standard_normal((resamples, len(rows)))
