"""Line charts with bands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .axes import Axis, build_log_axis, find_limits
from .charts import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, build_figure, draw_grid, draw_labels
from .html import Html, element

Floats = NDArray[np.float64]

MAX_POINTS = 240  # of a line; neighbouring points are averaged beyond that
MAX_MARKERS = 12  # points of a line up to which each has a marker
DASHES = (None, "6 3", "2 2")  # so that lines of one chart differ by more than their colour
MARKER = 3.5  # half the width of a marker
SHAPES = (  # of markers after the circle: corners in units of half their width
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
)


class Series(NamedTuple):
    """A line of a chart.

    Attributes:
        name: in the legend.
        x: ascending, ``[N]``.
        y: ``[N]``; NaN leaves a gap.
        low: lower end of a band around the line, ``[N]``; None is no band, NaN leaves a gap.
        high: upper end of the band, ``[N]``.
    """

    name: str
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats
    low: Sequence[float] | Floats | None = None
    high: Sequence[float] | Floats | None = None


class Line(NamedTuple):
    """Points of a line, each ``[N]``; a line without a band has NaN as its ends."""

    x: Floats
    y: Floats
    low: Floats
    high: Floats


def line_chart(
    title: str,
    labels: tuple[str, str],
    series: Sequence[Series],
    x_limits: tuple[float | None, float | None] = (None, None),
    y_limits: tuple[float | None, float | None] = (None, None),
    note: str = "",
    is_log: bool = False,
) -> Html:
    """Draws lines, with bands around those that have one.

    Args:
        title: heading of the figure.
        labels: of the horizontal and the vertical axis.
        series: the lines; the first differs most from the others.
        x_limits: fixed limits of the horizontal axis.
        y_limits: fixed limits of the vertical axis.
        note: below the chart.
        is_log: whether the horizontal axis is logarithmic, with tick marks at the values of the lines; points that are
            not above 0 are left out.
    """
    lines = [thin_out(line, is_log) for line in series]
    x = [value for line in lines for value in line.x.tolist()]
    y = [value for line in lines for values in line[1:] for value in values.tolist()]
    ends = float(LEFT), float(WIDTH - RIGHT)
    across = build_log_axis(x, x_limits, ends) if is_log else Axis(*find_limits(x, *x_limits), *ends)
    up = Axis(*find_limits(y, *y_limits), HEIGHT - BOTTOM, TOP)
    parts = [*draw_grid(across, up), *draw_labels(labels)]
    for k, line in enumerate(lines):  # bands first, because they must cover no line
        parts += draw_band(line, across, up, k)
    for k, line in enumerate(lines):
        parts += draw_line(line, across, up, k)
    texts = [describe_line(drawn.name, line) for drawn, line in zip(series, lines, strict=True)]
    has_markers = any(len(line.x) <= MAX_MARKERS for line in lines)
    legend = draw_legend([line.name for line in series], has_markers) if len(series) > 1 else Html()
    return build_figure(title, (WIDTH, HEIGHT), parts, f"{labels[1]} over {labels[0]}. {' '.join(texts)}", legend, note)


def thin_out(series: Series, is_log: bool = False) -> Line:
    """Converts a series to a line of at most 240 points, by the mean of neighbouring points."""
    given = (series.x, series.y, *([np.nan] * len(series.x) if end is None else end for end in series[3:]))
    arrays = [np.asarray(values, dtype=np.float64) for values in given]
    if is_log:
        arrays[0] = np.where(arrays[0] > 0, arrays[0], np.nan)
    if len(series.x) <= MAX_POINTS:
        return Line(*arrays)
    return Line(*(np.array([part.mean() for part in np.array_split(values, MAX_POINTS)]) for values in arrays))


def split_defined(*arrays: Floats) -> Iterable[NDArray[np.intp]]:
    """Yields the indices of each run of points where all ``arrays`` are finite."""
    is_finite = np.all(np.isfinite(arrays), axis=0)
    breaks = np.flatnonzero(np.diff(is_finite.astype(int))) + 1
    for part in np.split(np.arange(len(is_finite)), breaks):
        if len(part) and is_finite[part[0]]:
            yield part


def draw_line(line: Line, across: Axis, up: Axis, number: int) -> Iterable[Html]:
    """Draws one line, in parts where values are missing; single points and those of short lines have markers."""
    for part in split_defined(line.x, line.y):
        points = find_points(line.x[part], line.y[part], across, up)
        if len(points) > 1:
            dash = DASHES[number % len(DASHES)]
            style = f"s{number % COLOURS}"
            yield element("polyline", points=format_points(points), class_=style, stroke_dasharray=dash)
        if len(points) == 1 or len(line.x) <= MAX_MARKERS:
            yield from (draw_marker(point, number) for point in points)


def draw_band(line: Line, across: Axis, up: Axis, number: int) -> Iterable[Html]:
    """Draws the band of a line, in parts where an end of it is missing; that of a single point is a vertical line."""
    style = f"s{number % COLOURS}"
    for part in split_defined(line.x, line.low, line.high):
        points = find_points(line.x[part], line.high[part], across, up)
        points += find_points(line.x[part], line.low[part], across, up)[::-1]
        if len(points) > 2:
            yield element("polygon", points=format_points(points), class_=f"shade {style}")
        else:
            yield element("polyline", points=format_points(points), class_=style)


def draw_marker(point: tuple[float, float], number: int) -> Html:
    """Draws the marker of a point, in the shape of the line of this number."""
    shape = number % (1 + len(SHAPES))
    x, y = point
    if not shape:
        return element("circle", cx=x, cy=y, r=MARKER, class_=f"s{number % COLOURS}")
    corners = [(x + MARKER * a, y + MARKER * b) for a, b in SHAPES[shape - 1]]
    return element("polygon", points=format_points(corners), class_=f"s{number % COLOURS}")


def find_points(x: Floats, y: Floats, across: Axis, up: Axis) -> list[tuple[float, float]]:
    """Returns the positions of points."""
    return [(across.position(a), up.position(b)) for a, b in zip(x.tolist(), y.tolist(), strict=True)]


def format_points(points: Iterable[tuple[float, float]]) -> str:
    """Formats positions for SVG."""
    return " ".join(f"{x:.5g},{y:.5g}" for x, y in points)


def describe_line(name: str, line: Line) -> str:
    """Describes a line in words: its ends with their intervals, and its extremes."""
    is_finite = np.isfinite(line.x) & np.isfinite(line.y)
    if not is_finite.any():
        return f"{name}: no values."
    y, low, high = (values[is_finite] for values in line[1:])
    first, last = (describe_value(y[k], low[k], high[k]) for k in (0, -1))
    return f"{name}: from {first} to {last}, lowest {y.min():.3g}, highest {y.max():.3g}."


def describe_value(value: float, low: float, high: float) -> str:
    """Describes a value, and its interval if it has one."""
    return f"{value:.3g} ({low:.3g} to {high:.3g})" if np.isfinite([low, high]).all() else f"{value:.3g}"


def draw_legend(names: Sequence[str], has_markers: bool) -> Html:
    """Lists the names of the lines beside samples of them."""

    def draw_item(number: int, name: str) -> Html:
        dash = DASHES[number % len(DASHES)]
        line = element("polyline", points="0,5 24,5", class_=f"s{number % COLOURS}", stroke_dasharray=dash)
        marker = [draw_marker((12, 5), number)] if has_markers else []
        return element("li", element("svg", line, *marker, viewBox="0 0 24 10", aria_hidden="true"), name)

    return element("ul", *(draw_item(k, name) for k, name in enumerate(names)), class_="legend")
