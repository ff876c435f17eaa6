"""Rows of values: intervals and bars."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .axes import Axis, find_limits, format_tick
from .charts import BOTTOM, CHARACTER, RIGHT, TOP, WIDTH, build_figure, name_width, shorten
from .html import Html, element

ROW = 20  # height of a row


class Interval(NamedTuple):
    """A value with its interval, as a row of a chart.

    Attributes:
        name: beside the marks.
        value: NaN if it is undefined.
        low: lower end of the interval; NaN if it is undefined.
        high: upper end of the interval; NaN if it is undefined.
    """

    name: str
    value: float
    low: float
    high: float


class Bar(NamedTuple):
    """A row of a bar chart.

    Attributes:
        name: beside the bar.
        value: its length.
        text: at its end.
    """

    name: str
    value: float
    text: str


def interval_chart(
    title: str,
    label: str,
    rows: Sequence[Interval],
    limits: tuple[float | None, float | None] = (None, None),
    rope: float | None = None,
    note: str = "",
) -> Html:
    """Draws values with their intervals, a row each.

    Args:
        title: heading of the figure.
        label: of the axis.
        rows: the values; undefined values and intervals have no mark.
        limits: fixed limits of the axis.
        rope: if given, values are differences: 0 is marked, and differences up to ``rope`` are shaded.
        note: below the chart.
    """
    ends = [end for row in rows for end in (row.value, row.low, row.high)] + ([] if rope is None else [-rope, rope])
    axis = Axis(*find_limits(ends, *limits), name_width(row.name for row in rows), WIDTH - RIGHT)
    bottom = TOP + ROW * len(rows)
    parts: list[Html] = []
    if rope is not None:
        left, right, zero = axis.position(-rope), axis.position(rope), axis.position(0)
        parts.append(element("rect", x=left, y=TOP, width=round(right - left, 1), height=bottom - TOP, class_="band"))
        parts.append(element("line", x1=zero, x2=zero, y1=TOP, y2=bottom, class_="zero"))
    parts += draw_row_axis(axis, label, bottom)
    for k, row in enumerate(rows):
        parts += draw_interval(row, axis, TOP + ROW * k + ROW / 2)
    texts = [f"{row.name}: {format_interval(row)}." for row in rows]
    return build_figure(title, (WIDTH, bottom + BOTTOM), parts, f"{label}. {' '.join(texts)}", Html(), note)


def draw_interval(row: Interval, axis: Axis, y: float) -> Iterable[Html]:
    """Draws one value with its interval."""
    name = element("title", f"{row.name}: {format_interval(row)}")
    text = element("text", shorten(row.name), x=axis.start - 8, y=y + 4, text_anchor="end")
    marks: list[Html] = []
    if math.isfinite(row.low):
        ends = {"x1": axis.position(row.low), "x2": axis.position(row.high)}
        marks.append(element("line", **ends, y1=y, y2=y, class_="s0", stroke_width=2))
    if math.isfinite(row.value):
        marks.append(element("circle", cx=axis.position(row.value), cy=y, r=4, class_="s0"))
    yield element("g", name, text, *marks)


def format_interval(row: Interval) -> str:
    """Formats a value and its interval, either of which may be undefined."""
    if not math.isfinite(row.value):
        return "undefined"
    return f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})" if math.isfinite(row.low) else f"{row.value:.3f}"


def bar_chart(title: str, label: str, rows: Sequence[Bar], note: str = "") -> Html:
    """Draws bars from 0, a row each.

    Args:
        title: heading of the figure.
        label: of the axis.
        rows: the bars.
        note: below the chart.
    """
    space = max((len(row.text) for row in rows), default=0) * CHARACTER + 8
    axis = Axis(*find_limits([row.value for row in rows], least=0), name_width(row.name for row in rows), WIDTH - space)
    bottom = TOP + ROW * len(rows)
    parts = draw_row_axis(axis, label, bottom)
    for k, row in enumerate(rows):
        y = TOP + ROW * k
        end = axis.position(row.value)
        name = element("text", shorten(row.name), x=axis.start - 8, y=y + 14, text_anchor="end")
        bar = element("rect", x=axis.start, y=y + 3, width=round(end - axis.start, 1), height=ROW - 6, class_="s0")
        text = element("text", row.text, x=end + 5, y=y + 14, class_="quiet")
        parts.append(element("g", element("title", f"{row.name}: {row.text}"), name, bar, text))
    texts = " ".join(f"{row.name}: {row.text}." for row in rows)
    return build_figure(title, (WIDTH, bottom + BOTTOM), parts, f"{label}. {texts}", Html(), note)


def draw_row_axis(axis: Axis, label: str, bottom: float) -> list[Html]:
    """Draws the axis below rows, with lines at its tick marks."""
    parts: list[Html] = []
    for value in axis.ticks():
        x = axis.position(value)
        parts.append(element("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="grid"))
        parts.append(element("text", format_tick(value), x=x, y=bottom + 14, text_anchor="middle", class_="quiet"))
    middle = (axis.start + axis.end) / 2
    return [*parts, element("text", label, x=middle, y=bottom + 30, text_anchor="middle")]
