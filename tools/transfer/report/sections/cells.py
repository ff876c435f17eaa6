"""All finished cells: as ``cells.csv``, and as a table of the report."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .....errors import format_count
from ....compare.bootstrap import centre, draw_weights, find_interval, limit_interval
from ...store import CELL, CONFIG
from ..estimates import RESAMPLES
from ..formats import format_interval
from ..parts import Link, Section, Table
from ..results import Result, Row, TaskResults

HEADER = ("task", "backbone", "weights", "protocol", "share", "seed", "value", "low", "high", "run")
RANDOM = "random"  # weights of trainings from scratch
COMMIT_LETTERS = 10

Interval = tuple[float, float, float]


class CellTable:
    """The finished cells of all tasks with the intervals of their figures, over the images.

    Args:
        tasks: the finished cells.

    Attributes:
        entries: task, row, cell and interval of each.
    """

    def __init__(self, tasks: Sequence[TaskResults]) -> None:
        self.entries: list[tuple[TaskResults, Row, Result, Interval]] = []
        for task in tasks:
            weights = draw_weights(task.images, RESAMPLES, seed=0)
            for row, cells in task.rows.items():
                figure = task.figure_of(row)
                self.entries += [(task, row, cell, estimate_cell(cell, figure, weights)) for cell in cells]

    def as_csv(self) -> str:
        """Returns the text of ``cells.csv``; undefined values are empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEADER)
        for task, row, cell, interval in self.entries:
            values = ["" if math.isnan(value) else f"{value:.6f}" for value in interval]
            weights = name_weights(cell)
            writer.writerow(
                [task.name, row.backbone, weights, row.protocol, row.share, cell.seed, *values, cell.digest]
            )
        return text.getvalue()

    def as_section(self) -> Section:
        """Returns the table of the report, which leads to the files of each cell."""
        header = ["task", "backbone", "weights", "protocol", "share", "seed", "learning rate", "figure", "value"]
        header += ["seconds", "commit", "cell", "configuration"]
        rows = [self._format(*entry) for entry in self.entries]
        caption = f"{format_count(len(rows), 'cells')}; intervals are over the images, for this training alone"
        return Section("Cells", [Table(caption, header, rows, words=(0, 1, 2, 3, 7, 10, 11, 12))])

    def _format(self, task: TaskResults, row: Row, cell: Result, interval: Interval) -> list[str | Link]:
        record, folder = cell.record, f"cells/{cell.digest}"
        rate = record["cell"]["learning_rate"]
        return [
            task.name,
            row.backbone,
            name_weights(cell),
            row.protocol,
            f"{row.share:g}",
            str(cell.seed),
            "" if rate is None else f"{rate:g}",
            task.figure_of(row),
            format_interval(*interval),
            f"{record['seconds']:.0f}",
            (record["commit"] or "")[:COMMIT_LETTERS],
            Link(cell.digest, f"{folder}/{CELL}"),
            Link(CONFIG, f"{folder}/{CONFIG}"),
        ]


def estimate_cell(cell: Result, figure: str, weights: Any) -> Interval:
    """Returns the figure of one cell with its 95 % interval over the images."""
    value = float(cell.evidence.figures(np.ones((1, weights.shape[1])), [figure])[figure][0])
    drawn = cell.evidence.figures(weights, [figure])[figure]
    return value, *limit_interval(find_interval(centre(drawn, value)), 0, 1)


def name_weights(cell: Result) -> str:
    """Returns the name of the weights that a cell started from."""
    weights = cell.record["cell"]["weights"]
    return RANDOM if weights is None else Path(weights).name
