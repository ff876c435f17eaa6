"""Text tables that the commands print."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

NOTHING = "–"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Formats a table whose columns are two spaces apart; those with indices in ``left`` are aligned to the left."""
    lines = [list(header), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k in left else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def column_table(columns: Iterable[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Formats columns, each of which begins with its titles."""
    header, *rows = zip(*columns, strict=True)
    return table(header, rows, left)


def facts_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], left: Collection[int] = (0,)) -> str:
    """Formats a row for each dictionary; ``columns`` maps the keys that are shown to their titles."""
    return table(list(columns.values()), [[format_cell(row.get(key, "")) for key in columns] for row in rows], left)


def format_cell(value: object) -> str:
    """Formats a value: a shape as 3×224×224, names with commas, a large number as 1,000, None as a dash."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
    if isinstance(value, tuple):
        return ("×" if all(isinstance(x, int) for x in value) else ", ").join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)


def format_options(arguments: Mapping[str, Any]) -> str:
    """Formats arguments as the commands take them, without their dashes."""
    return " ".join(f"{name}={value}" for name, value in arguments.items())
