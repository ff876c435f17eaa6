"""Texts of figures, names and links in the report."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...compare.bootstrap import Difference, Estimate
from ...text_tables import NOTHING
from ..store import CELL
from .parts import Link
from .results import Result, Row


def format_estimate(found: Estimate) -> str:
    """Formats a mean with its interval."""
    return format_interval(found.value, *found.interval)


def format_interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """Formats a value and its interval, either of which may be undefined."""
    if not math.isfinite(value):
        return NOTHING
    text = f"{value:z.{digits}f}"
    return f"{text} ({low:z.{digits}f} to {high:z.{digits}f})" if math.isfinite(low) else text


def format_difference(found: Difference | None) -> str:
    """Formats a difference with its interval; a dash if it is undefined."""
    if found is None:
        return NOTHING
    text, (low, high) = f"{found.value:+z.3f}", found.interval
    return f"{text} ({low:+z.3f} to {high:+z.3f})" if math.isfinite(low) else text


def link_seeds(cells: Sequence[Result]) -> list[Link]:
    """Returns the seeds of cells, each of which leads to its cell."""
    return [make_link(str(cell.seed), cell.digest) for cell in cells]


def make_link(text: str, digest: str) -> Link:
    """Returns a text that leads to a cell: its configuration, versions, commit and hashes."""
    return Link(text, f"cells/{digest}/{CELL}")


def join_names(names: Sequence[str], most: int = 4) -> str:
    """Joins names for a sentence, e.g. "A, B and C"; of many, the first ones and the number of others."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} others"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def join_rows(rows: Sequence[Row]) -> str:
    """Joins the names of rows for a sentence."""
    return join_names([str(row) for row in rows])
