"""Whether orders of backbones agree: between tasks, between protocols, and with published accuracy on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..plan.protocols import PROTOCOLS
from .estimates import Floats, TaskEstimates
from .results import Row
from .statistics.ranks import MIN_COUNT, Correlation, rank_correlation


class Agreement(NamedTuple):
    """How well two orders of the same backbones agree.

    Attributes:
        first: name of the one; of the task where the other is published accuracy.
        second: name of the other; of the protocol where the other is published accuracy.
        backbones: number of backbones.
        correlation: Kendall's τ; None where it is undefined.
    """

    first: str
    second: str
    backbones: int
    correlation: Correlation | None


def correlate_tasks(tasks: Sequence[TaskEstimates]) -> dict[str, list[Agreement]]:
    """Compares the orders of backbones on each pair of tasks, by protocol; on all images."""
    found: dict[str, list[Agreement]] = {}
    for protocol in PROTOCOLS:
        for first, second in combinations(tasks, 2):
            sides = [(task, {row.backbone: row for row in list_rows(task, protocol, 1.0)}) for task in (first, second)]
            agreement = correlate((first.name, second.name), sides)
            if agreement.backbones >= MIN_COUNT:
                found.setdefault(protocol, []).append(agreement)
    return found


def correlate_protocols(task: TaskEstimates) -> list[Agreement]:
    """Compares the orders of backbones by each pair of protocols and shares on one task."""
    kinds = list(dict.fromkeys((row.protocol, row.share) for row in task.estimates))
    kinds.sort(key=lambda kind: (list(PROTOCOLS).index(kind[0]), -kind[1]))
    found: list[Agreement] = []
    for kind, other in combinations(kinds, 2):
        sides = [(task, {row.backbone: row for row in list_rows(task, *chosen)}) for chosen in (kind, other)]
        names = describe_kind(*kind), describe_kind(*other)
        agreement = correlate(names, sides)
        if agreement.backbones >= MIN_COUNT:
            found.append(agreement)
    return found


def correlate_imagenet(task: TaskEstimates, top1: Mapping[str, float]) -> list[Agreement]:
    """Compares the order of backbones on a task with that of their published accuracies, by protocol."""
    found: list[Agreement] = []
    for protocol in PROTOCOLS:
        rows = [row for row in list_rows(task, protocol, 1.0) if row.backbone in top1]
        if len(rows) < MIN_COUNT:
            continue
        values, drawn = collect(task, rows)
        correlation = rank_correlation(np.array([top1[row.backbone] for row in rows]), values, None, drawn)
        found.append(Agreement(task.name, protocol, len(rows), correlation))
    return found


def correlate(names: tuple[str, str], sides: Sequence[tuple[TaskEstimates, dict[str, Row]]]) -> Agreement:
    """Compares two orders of the backbones that both have."""
    (first, rows), (second, others) = sides
    shared = [name for name in rows if name in others]
    if len(shared) < MIN_COUNT:
        return Agreement(*names, len(shared), None)
    values, drawn = collect(first, [rows[name] for name in shared])
    other_values, other_drawn = collect(second, [others[name] for name in shared])
    return Agreement(*names, len(shared), rank_correlation(values, other_values, drawn, other_drawn))


def collect(task: TaskEstimates, rows: Sequence[Row]) -> tuple[Floats, Floats]:
    """Returns the values ``[B]`` and the drawn values ``[R, B]`` of rows."""
    return np.array([task.value(row) for row in rows]), np.stack([task.draw(row) for row in rows], axis=1)


def list_rows(task: TaskEstimates, protocol: str, share: float) -> list[Row]:
    """Returns the rows of a protocol and share with a defined figure."""
    alike = [row for row in task.estimates if (row.protocol, row.share) == (protocol, share)]
    return [row for row in alike if np.isfinite(task.value(row))]


def describe_kind(protocol: str, share: float) -> str:
    """Names a protocol and a share of the images."""
    return protocol if share == 1 else f"{protocol}, {100 * share:g} %"
