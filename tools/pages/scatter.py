"""Scatter charts with intervals in both directions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NamedTuple

from .axes import Axis, find_limits
from .charts import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, build_figure, draw_grid, draw_labels, shorten
from .html import Html, element

RADIUS = 4
LEGEND_ROW = 16  # height of a row of the legend
SVG_SCALE = 2  # of a file that is opened alone
NAME_ROW, LETTER = 12, 6  # height of a name, and width of a letter


class Point(NamedTuple):
    """A point of a scatter chart.

    Attributes:
        name: beside the point.
        group: gives the colour; in the legend.
        x: value, and the ends of its interval; NaN without one.
        y: value, and the ends of its interval; NaN without one.
    """

    name: str
    group: str
    x: tuple[float, float, float]
    y: tuple[float, float, float]


class Box(NamedTuple):
    """A rectangle in the chart."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        """Whether the rectangles have an area in common."""
        is_beside = self.right <= other.left or other.right <= self.left
        return not is_beside and self.top < other.bottom and other.top < self.bottom


def scatter_chart(title: str, labels: tuple[str, str], points: Sequence[Point], note: str = "") -> Html:
    """Draws points with their intervals, coloured by group, as a figure of a page.

    Args:
        title: heading of the figure.
        labels: of the horizontal axis, which begins at 0, and of the vertical axis.
        points: the points.
        note: below the chart.
    """
    parts, height = draw_points(labels, points)
    return build_figure(title, (WIDTH, height), parts, describe_points(labels, points), Html(), note)


def scatter_svg(title: str, labels: tuple[str, str], points: Sequence[Point]) -> str:
    """Draws the chart of :func:`scatter_chart` as the text of an SVG file."""
    parts, height = draw_points(labels, points)
    style = (files(__name__.rpartition(".")[0]) / "style.css").read_text(encoding="utf-8")
    style += "svg { width: auto; }"  # a page gives its charts the width of their column
    background = element("rect", width=WIDTH, height=height, style="fill: var(--back)")
    drawing = element(
        "svg",
        element("title", title),
        element("style", Html(style)),
        background,
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        width=SVG_SCALE * WIDTH,
        height=SVG_SCALE * height,
        viewBox=f"0 0 {WIDTH} {height}",
        role="img",
        aria_label=f"{title}. {describe_points(labels, points)}",
    )
    return f"{drawing}\n"


def draw_points(labels: tuple[str, str], points: Sequence[Point]) -> tuple[list[Html], int]:
    """Draws axes, points and the legend of several groups; returns the parts and the height of the chart."""
    groups = list(dict.fromkeys(point.group for point in points))
    across = Axis(*find_limits([end for point in points for end in point.x], least=0), LEFT, WIDTH - RIGHT)
    up = Axis(*find_limits([end for point in points for end in point.y]), HEIGHT - BOTTOM, TOP)
    parts = [*draw_grid(across, up), *draw_labels(labels)]
    taken: list[Box] = []
    for point in points:
        parts.append(draw_point(point, across, up, f"s{groups.index(point.group) % COLOURS}"))
    for point in points:
        parts += draw_name(point, across, up, f"s{groups.index(point.group) % COLOURS}", taken)
    if len(groups) < 2:
        return parts, HEIGHT
    parts += draw_groups(groups)
    return parts, HEIGHT + LEGEND_ROW * len(groups)


def draw_point(point: Point, across: Axis, up: Axis, style: str) -> Html:
    """Draws one point with its intervals."""
    x, y = across.position(point.x[0]), up.position(point.y[0])
    marks: list[Html] = []
    if math.isfinite(point.x[1]):
        ends = {"x1": across.position(point.x[1]), "x2": across.position(point.x[2])}
        marks.append(element("line", **ends, y1=y, y2=y, class_=style, stroke="currentcolor"))
    if math.isfinite(point.y[1]):
        ends = {"y1": up.position(point.y[1]), "y2": up.position(point.y[2])}
        marks.append(element("line", x1=x, x2=x, **ends, class_=style, stroke="currentcolor"))
    circle = element("circle", cx=x, cy=y, r=RADIUS, class_=style)
    name = element("title", f"{point.name}, {point.group}: {point.x[0]:.4g}, {point.y[0]:.4g}")
    return element("g", name, *marks, circle)


def draw_name(point: Point, across: Axis, up: Axis, style: str, taken: list[Box]) -> Iterable[Html]:
    """Draws the name of a point on the side that has more space, in the nearest row where it covers no other name.

    Args:
        point: the point.
        across: horizontal axis.
        up: vertical axis.
        style: class of its colour.
        taken: places of the names so far; that of this one is added. A name without a free place is left out.
    """
    x, y = across.position(point.x[0]), up.position(point.y[0])
    text = shorten(point.name)
    is_left = x < (across.start + across.end) / 2
    start = x + 2 * RADIUS if is_left else x - 2 * RADIUS
    left = start if is_left else start - LETTER * len(text)
    for shift in sorted(range(-10, 11), key=lambda shift: (abs(shift), shift)):
        base = y - 5 + NAME_ROW * shift
        box = Box(left, base - NAME_ROW, left + LETTER * len(text), base)
        if box.top >= TOP and base <= HEIGHT - BOTTOM and not any(box.overlaps(other) for other in taken):
            taken.append(box)
            place = {"x": start, "y": round(base, 1), "text_anchor": "start" if is_left else "end"}
            yield element("text", text, **place, class_=style, fill="currentcolor")
            return


def draw_groups(groups: Sequence[str]) -> Iterable[Html]:
    """Lists the groups below the chart, each beside its colour."""
    for k, group in enumerate(groups):
        y = HEIGHT + LEGEND_ROW * k + LEGEND_ROW / 2
        yield element("circle", cx=LEFT, cy=y, r=RADIUS, class_=f"s{k % COLOURS}")
        yield element("text", group, x=LEFT + 3 * RADIUS, y=y + RADIUS)


def describe_points(labels: tuple[str, str], points: Sequence[Point]) -> str:
    """Describes the chart in words."""
    texts = [f"{point.name}, {point.group}: {point.x[0]:.4g}, {point.y[0]:.4g}." for point in points]
    return f"{labels[1]} over {labels[0]}. {' '.join(texts)}"
