"""The section about the gain of pretraining."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....compare.comparison import Pair
from ....compare.output import format_pair, make_header
from ....pages import Interval, interval_chart
from ...plan.contents import Plan
from ..estimates import TaskEstimates
from ..gains import describe_gains, find_gains
from ..parts import Charts, Part, Section, Table
from ..results import Row


def show_gains(plan: Plan, tasks: Sequence[TaskEstimates]) -> Section:
    """Shows the gain of pretrained weights over random ones."""
    parts: list[Part] = []
    charts, tables = [], []
    for task in tasks:
        gains = find_gains(task)
        if not gains:
            continue
        parts.append(describe_gains(task, gains))
        rows = [to_interval(f"{gain.pretrained.backbone}{describe_share(gain.scratch)}", gain.pair) for gain in gains]
        charts.append(interval_chart(task.name, f"gain in {task.figure}", rows, rope=task.settings.rope))
        body = [[str(gain.pretrained), str(gain.scratch), *format_pair(gain.pair)] for gain in gains]
        caption = f"{task.name}: {task.figure} with pretrained weights minus {task.figure} from scratch"
        tables.append(Table(caption, ["pretrained", "scratch", *make_header(task.settings)], body, words=(0, 1)))
    notes = [f"{name}: {backbone.note}" for name, backbone in plan.backbones.items() if backbone.note]
    return Section("Gain of pretraining", [*parts, *notes, Charts(charts), *tables] if parts else [])


def describe_share(row: Row) -> str:
    """Returns the share of the images of a row, if it is not all."""
    return "" if row.share == 1 else f" {100 * row.share:g} %"


def to_interval(name: str, pair: Pair) -> Interval:
    """Converts a difference to a row of a chart."""
    found = pair.difference
    return Interval(name, np.nan, np.nan, np.nan) if found is None else Interval(name, found.value, *found.interval)
