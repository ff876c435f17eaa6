"""Charts as inline SVG, each in a figure with a heading and a text for screen readers.

Charts are narrow, because two fit beside each other on a wide screen and one on a phone without being shrunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .axes import TICK_HEIGHT, Axis, find_limits, format_tick
from .html import Html, element, join

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 8, 38  # margins of a line chart
ROW = 20  # height of a row of a bar or interval chart
CHARACTER = 7.2  # typical width of a character
MAX_NAME = 22  # characters of a name beside a row
DIFFERENCE = " − "  # between two names
MAX_POINTS = 240  # of a line; neighbouring points are averaged beyond that
COLOURS = 8  # s0 … s7 of style.css
DASHES = (None, "6 3", "2 2")  # so that lines of one chart differ by more than their colour


class Series(NamedTuple):
    """A line of a chart.

    Attributes:
        name: in the legend.
        x: ascending, ``[N]``.
        y: ``[N]``; NaN leaves a gap.
    """

    name: str
    x: Sequence[float] | NDArray[np.float64]
    y: Sequence[float] | NDArray[np.float64]


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


def line_chart(
    title: str,
    labels: tuple[str, str],
    series: Sequence[Series],
    x_limits: tuple[float | None, float | None] = (None, None),
    y_limits: tuple[float | None, float | None] = (None, None),
    note: str = "",
) -> Html:
    """Draws lines.

    Args:
        title: heading of the figure.
        labels: of the horizontal and the vertical axis.
        series: the lines; the first differs most from the others.
        x_limits: fixed limits of the horizontal axis.
        y_limits: fixed limits of the vertical axis.
        note: below the chart.
    """
    lines = [thin_out(np.asarray(line.x, dtype=np.float64), np.asarray(line.y, dtype=np.float64)) for line in series]
    across = Axis(*find_limits(np.concatenate([x for x, _ in lines]).tolist(), *x_limits), LEFT, WIDTH - RIGHT)
    up = Axis(*find_limits(np.concatenate([y for _, y in lines]).tolist(), *y_limits), HEIGHT - BOTTOM, TOP)
    parts = [*draw_grid(across, up), *draw_labels(labels)]
    for k, (x, y) in enumerate(lines):
        parts += draw_line(x, y, across, up, k)
    texts = [describe_line(line.name, *points) for line, points in zip(series, lines, strict=True)]
    legend = draw_legend([line.name for line in series]) if len(series) > 1 else Html()
    return build_figure(title, (WIDTH, HEIGHT), parts, f"{labels[1]} over {labels[0]}. {' '.join(texts)}", legend, note)


def thin_out(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Averages neighbouring points so that at most 240 are left."""
    if len(x) <= MAX_POINTS:
        return x, y
    parts = [np.array_split(values, MAX_POINTS) for values in (x, y)]
    return np.array([part.mean() for part in parts[0]]), np.array([part.mean() for part in parts[1]])


def draw_grid(across: Axis, up: Axis) -> Iterable[Html]:
    """Draws tick marks of both axes, and lines at those of the vertical one."""
    for value in up.ticks(TICK_HEIGHT):
        y = up.position(value)
        yield element("line", x1=across.start, x2=across.end, y1=y, y2=y, class_="grid")
        yield element("text", format_tick(value), x=across.start - 5, y=y + 4, text_anchor="end", class_="quiet")
    for value in across.ticks():
        x = across.position(value)
        yield element("line", x1=x, x2=x, y1=up.start, y2=up.start + 4, class_="grid")
        yield element("text", format_tick(value), x=x, y=up.start + 15, text_anchor="middle", class_="quiet")


def draw_labels(labels: tuple[str, str]) -> Iterable[Html]:
    """Writes the labels of the axes."""
    yield element("text", labels[0], x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, text_anchor="middle")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"rotate(-90 10 {middle:g})"
    yield element("text", labels[1], x=10, y=middle, text_anchor="middle", transform=turned)


def draw_line(x: NDArray[np.float64], y: NDArray[np.float64], across: Axis, up: Axis, number: int) -> Iterable[Html]:
    """Draws one line, in parts where values are missing; a single point is a circle."""
    style = f"s{number % COLOURS}"
    is_finite = np.isfinite(x) & np.isfinite(y)
    breaks = np.flatnonzero(np.diff(is_finite.astype(int))) + 1
    for part in np.split(np.arange(len(x)), breaks):
        if not len(part) or not is_finite[part[0]]:
            continue
        points = [(across.position(a), up.position(b)) for a, b in zip(x[part].tolist(), y[part].tolist(), strict=True)]
        if len(points) == 1:
            yield element("circle", cx=points[0][0], cy=points[0][1], r=3, class_=style)
            continue
        text = " ".join(f"{a:g},{b:g}" for a, b in points)
        dash = DASHES[number % len(DASHES)]
        yield element("polyline", points=text, class_=style, stroke_dasharray=dash)


def describe_line(name: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> str:
    """Describes a line in words: its ends and its extremes."""
    is_finite = np.isfinite(x) & np.isfinite(y)
    if not is_finite.any():
        return f"{name}: no values."
    y = y[is_finite]
    return f"{name}: from {y[0]:.3g} to {y[-1]:.3g}, lowest {y.min():.3g}, highest {y.max():.3g}."


def draw_legend(names: Sequence[str]) -> Html:
    """Lists the names of the lines beside samples of them."""

    def draw_item(number: int, name: str) -> Html:
        dash = DASHES[number % len(DASHES)]
        line = element("polyline", points="0,5 24,5", class_=f"s{number % COLOURS}", stroke_dasharray=dash)
        return element("li", element("svg", line, viewBox="0 0 24 10", aria_hidden="true"), name)

    return element("ul", *(draw_item(k, name) for k, name in enumerate(names)), class_="legend")


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
    axis = Axis(*find_limits(ends, *limits), name_width(rows), WIDTH - RIGHT)
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
    axis = Axis(*find_limits([row.value for row in rows], least=0), name_width(rows), WIDTH - space)
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


def name_width(rows: Iterable[Interval | Bar]) -> float:
    """Returns the width of the names beside rows."""
    longest = max((len(shorten(row.name)) for row in rows), default=0)
    return round(longest * CHARACTER + 14)


def shorten(name: str) -> str:
    """Returns ``name`` with "…" in its middle if it is long, because names of one chart often begin alike.

    Both names of a difference "A − B" are shortened alike.
    """
    if len(name) <= MAX_NAME:
        return name
    first, difference, second = name.partition(DIFFERENCE)
    if not difference:
        return cut_middle(name, MAX_NAME)
    length = (MAX_NAME - len(DIFFERENCE)) // 2
    return cut_middle(first, length) + DIFFERENCE + cut_middle(second, length)


def cut_middle(name: str, length: int) -> str:
    """Returns ``name``, cut to ``length`` characters by "…" in its middle; its end is at least one character."""
    end = (length - 1) // 2
    return name if len(name) <= length else f"{name[: length - 1 - end]}…{name[-end:]}"


def build_figure(
    title: str, size: tuple[float, float], parts: Iterable[Html], description: str, legend: Html, note: str
) -> Html:
    """Builds the figure around a drawing; ``description`` says in words what it shows."""
    drawing = element(
        "svg", *parts, viewBox=f"0 0 {size[0]:g} {size[1]:g}", role="img", aria_label=f"{title}. {description}"
    )
    caption = [element("figcaption", note)] if note else []
    return element("figure", element("h3", title), drawing, legend, join(caption))
