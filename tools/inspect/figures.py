"""Computes figures of a data set, and formats dictionaries of them as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..text_tables import NOTHING, table

PERCENTILES = (1, 10, 50, 90, 99)
MAX_SIZES = 5  # image sizes that are printed

#: figures by name, as `--json` writes them; a name is also the label of the printed value
Facts = dict[str, Any]


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        header: text in the first row.
        path: keys of the value in a row, joined by dots, e.g. "width.50". Default: the header; "" for an empty cell.
        spec: format of the value, e.g. ".1f", or ".1%" for a fraction.
    """

    header: str
    path: str | None = None
    spec: str = ""

    def cell(self, row: Facts) -> str:
        """Formats the value of ``row``; a missing value is a dash."""
        path = self.header if self.path is None else self.path
        value: Any = row if path else ""
        for key in filter(None, path.split(".")):
            value = value.get(key)
            if value is None:
                return NOTHING
        return format(value, self.spec).replace("%", " %") if self.spec else str(value)


def percentile_columns(path: str, spec: str, ranks: Sequence[int] = PERCENTILES) -> list[Column]:
    """One column for each percentile of the distribution at ``path``."""
    return [Column(f"{rank} %", f"{path}.{rank}", spec) for rank in ranks]


def format_table(columns: Sequence[Column], rows: Iterable[Facts]) -> str:
    """Formats a header and one line for each row."""
    return table([column.header for column in columns], [[column.cell(row) for column in columns] for row in rows])


def format_facts(facts: Facts, **texts: str) -> str:
    """Formats one line "key: value" for each fact; ``texts`` replaces the line of a key, "" leaves it out."""
    lines = (texts[key] if key in texts else format_fact(key, value) for key, value in facts.items())
    return "\n".join(line for line in lines if line)


def format_fact(key: str, value: Any) -> str:
    """Formats a number, text, percentiles, image sizes or list with its label; keys of fractions end in share."""
    label = key.replace("_", " ")
    if key == "image_sizes" and value is not None:
        return f"{label}, width×height: {format_sizes(value)}"
    if isinstance(value, list):
        return format_list(label, value)
    if isinstance(value, dict):
        return f"{label}: {format_percentiles(value)}"
    spec = ".1%" if key.endswith("share") else ".2f" if isinstance(value, float) else ""
    return f"{label}: {Column(key, spec=spec).cell({key: value})}"


def format_list(label: str, items: Collection[str]) -> str:
    """Formats the number of items, then each item on its own line."""
    return "\n".join([f"{label}: {len(items) or 'none'}", *(f"  {item}" for item in items)])


def format_percentiles(values: Mapping[str, float]) -> str:
    """Formats percentiles on one line, or the single value if all are equal."""
    if len(set(values.values())) == 1:
        return f"{round(values['50'], 2):g}"
    return ", ".join(f"{round(value, 2):g} ({rank} %)" for rank, value in values.items()) or NOTHING


def format_sizes(sizes: Sequence[Mapping[str, int]]) -> str:
    """Formats the most frequent image sizes on one line, as width×height (number of images)."""
    shown = [f"{size['width']}×{size['height']} ({size['images']})" for size in sizes[:MAX_SIZES]]
    more = len(sizes) - MAX_SIZES
    if more > 0:
        shown.append(f"and {more} more size{'' if more == 1 else 's'}")
    return ", ".join(shown) or NOTHING


def fraction(part: int, whole: int) -> float:
    """Returns ``part / whole``, or 0 if ``whole`` is 0."""
    return part / whole if whole else 0.0


def percentiles(values: NDArray[Any]) -> dict[str, float]:
    """Percentiles of ``values`` by rank, from "1" to "99"; empty if ``values`` is empty."""
    if not len(values):
        return {}
    return dict(zip(map(str, PERCENTILES), np.percentile(values, PERCENTILES).tolist(), strict=True))


def count_sizes(sizes: NDArray[Any]) -> list[dict[str, int]]:
    """Counts the images of each (height, width) in ``sizes`` ``[I, 2]``, the most frequent first."""
    distinct, counts = np.unique(sizes, axis=0, return_counts=True)
    rows = np.column_stack((distinct, counts))[np.argsort(-counts, kind="stable")]
    return [dict(zip(("height", "width", "images"), row, strict=True)) for row in rows.tolist()]
