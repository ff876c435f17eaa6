"""The section about a race: which backbones dropped out, and why."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .....errors import UserError
from ...race import DECISIONS
from ..formats import format_interval
from ..parts import Part, Section, Table


def show_race(folder: Path) -> Section:
    """Shows the decisions of a race; nothing if the study was none.

    Args:
        folder: of the study.

    Raises:
        UserError: the file of the decisions is damaged.
    """
    file = folder / DECISIONS
    if not file.is_file():
        return Section("Race", [])
    try:
        decisions: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
        rows = [format_decision(decision) for decision in decisions]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged; remove it, or run the study with --race again.") from error
    if not rows:
        return Section("Race", [])
    dropped = [row for row in rows if row[-1]]
    text = (
        f"After {len(dropped)} of {len(rows)} comparisons with a leader, a backbone dropped out of the dearer cells of "
        "its ladder: its interval excludes 0, and its p-value, corrected by Holm for all pairs of the rung, is below "
        "0.05. How well cheap protocols ranked dear ones is in the section about orders of backbones; only those that "
        "did not drop out count there."
    )
    header = ["task", "ladder", "rung", "figure", "leader", "backbone", "leader − backbone", "p (Holm)", "dropped"]
    parts: list[Part] = [text, Table("Decisions of the race", header, rows, words=(0, 1, 2, 3, 4, 5, 8))]
    return Section("Race", parts)


def format_decision(decision: dict[str, Any]) -> list[str]:
    """Returns the cells of a decision."""
    value, low, high = (
        math.nan if decision[name] is None else decision[name] for name in ("difference", "low", "high")
    )
    interval = format_interval(value, low, high)
    named = [decision[name] for name in ("task", "ladder", "rung", "figure", "leader", "backbone")]
    return [*named, interval, f"{decision['p_value']:.3f}", "dropped" if decision["dropped"] else ""]
