"""Scatter charts with intervals in both directions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from importlib.resources import files
from itertools import product
from typing import NamedTuple

from .axes import Axis, find_limits
from .charts import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, build_figure, draw_grid, draw_labels, shorten
from .html import Html, element

RADIUS = 4
LEGEND_ROW = 16  # height of a row of the legend
SVG_SCALE = 2  # of a file that is opened alone
NAME_ROW, LETTER = 12, 6  # height of a name, and width of a letter

SHIFTS = sorted(range(-10, 11), key=abs)  # rows from that above a point, in which its name is tried
FAR = 2  # rows from which a line leads to a name


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


def scatter_chart(
    title: str, labels: tuple[str, str], points: Sequence[Point], note: str = "", front: Sequence[str] = ()
) -> Html:
    """Draws points with their intervals, coloured by group, as a figure of a page.

    Args:
        title: heading of the figure.
        labels: of the horizontal axis, which begins at 0, and of the vertical axis.
        points: the points.
        note: below the chart.
        front: names of the points on the Pareto front, which steps join; the others are hollow. None: no front.
    """
    parts, height = draw_points(labels, points, front)
    return build_figure(title, (WIDTH, height), parts, describe_points(labels, points, front), Html(), note)


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


def draw_points(
    labels: tuple[str, str], points: Sequence[Point], front: Collection[str] = ()
) -> tuple[list[Html], int]:
    """Draws axes, points, the front and the legend; returns the parts and the height of the chart."""
    groups = list(dict.fromkeys(point.group for point in points))
    across = Axis(*find_limits([end for point in points for end in point.x], least=0), LEFT, WIDTH - RIGHT)
    up = Axis(*find_limits([end for point in points for end in point.y]), HEIGHT - BOTTOM, TOP)
    parts = [*draw_grid(across, up), *draw_labels(labels)]
    parts += draw_front([point for point in points if point.name in front], across, up)
    taken = [surround_point(point, across, up) for point in points]
    for point in points:
        style = f"s{groups.index(point.group) % COLOURS}"
        is_hollow = bool(front) and point.name not in front
        parts.append(draw_point(point, across, up, style, is_hollow))
    for point in points:
        parts += draw_name(point, across, up, f"s{groups.index(point.group) % COLOURS}", taken)
    shown = groups if len(groups) > 1 else []
    parts += draw_groups(shown)
    height = HEIGHT + LEGEND_ROW * len(shown)
    if not front:
        return parts, height
    parts += draw_front_legend(height)
    return parts, height + LEGEND_ROW


def draw_front(points: Sequence[Point], across: Axis, up: Axis) -> Iterable[Html]:
    """Draws the highest value for at most each x of the points on the front, up to the right end of the chart."""
    places: list[tuple[float, float]] = []
    for x, y in sorted((across.position(point.x[0]), up.position(point.y[0])) for point in points):
        places += [(x, places[-1][1]), (x, y)] if places else [(x, y)]
    if places:
        places.append((across.end, places[-1][1]))
        yield element("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in places), class_="front")


def draw_point(point: Point, across: Axis, up: Axis, style: str, is_hollow: bool = False) -> Html:
    """Draws one point with its intervals."""
    x, y = across.position(point.x[0]), up.position(point.y[0])
    marks: list[Html] = []
    if math.isfinite(point.x[1]):
        ends = {"x1": across.position(point.x[1]), "x2": across.position(point.x[2])}
        marks.append(element("line", **ends, y1=y, y2=y, class_=style, stroke="currentcolor"))
    if math.isfinite(point.y[1]):
        ends = {"y1": up.position(point.y[1]), "y2": up.position(point.y[2])}
        marks.append(element("line", x1=x, x2=x, **ends, class_=style, stroke="currentcolor"))
    circle = element("circle", cx=x, cy=y, r=RADIUS, class_=f"{style} hollow" if is_hollow else style)
    name = element("title", f"{point.name}, {point.group}: {point.x[0]:.4g}, {point.y[0]:.4g}")
    return element("g", name, *marks, circle)


def surround_point(point: Point, across: Axis, up: Axis) -> Box:
    """Returns the place of the mark of a point."""
    x, y = across.position(point.x[0]), up.position(point.y[0])
    return Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS)


def draw_name(point: Point, across: Axis, up: Axis, style: str, taken: list[Box]) -> Iterable[Html]:
    """Draws the name of a point in the nearest row where it covers nothing; a line leads to one that is not near.

    Args:
        point: the point.
        across: horizontal axis.
        up: vertical axis.
        style: class of its colour.
        taken: places of points, and of the names so far; that of this one is added. A name without a free place is
            left out.
    """
    x, y = across.position(point.x[0]), up.position(point.y[0])
    text = shorten(point.name)
    sides = (True, False) if x < (across.start + across.end) / 2 else (False, True)  # more space first
    for shift, is_right in sorted(product(SHIFTS, sides), key=lambda place: abs(place[0])):
        start = x + 2 * RADIUS if is_right else x - 2 * RADIUS
        left = start if is_right else start - LETTER * len(text)
        base = round(y - 5 + NAME_ROW * shift, 1)
        box = Box(left, base - NAME_ROW, left + LETTER * len(text), base)
        is_inside = box.left >= across.start and box.right <= WIDTH and box.top >= 0 and box.bottom <= up.start
        if is_inside and not any(box.overlaps(other) for other in taken):
            taken.append(box)
            if abs(shift) >= FAR:
                yield element("line", x1=x, y1=y, x2=start, y2=base - NAME_ROW / 3, class_="leader")
            place = {"x": start, "y": base, "text_anchor": "start" if is_right else "end"}
            yield element("text", text, **place, class_=style, fill="currentcolor")
            return


def draw_groups(groups: Sequence[str]) -> Iterable[Html]:
    """Lists the groups below the chart, each beside its colour."""
    for k, group in enumerate(groups):
        y = HEIGHT + LEGEND_ROW * k + LEGEND_ROW / 2
        yield element("circle", cx=LEFT, cy=y, r=RADIUS, class_=f"s{k % COLOURS}")
        yield element("text", group, x=LEFT + 3 * RADIUS, y=y + RADIUS)


def draw_front_legend(top: float) -> Iterable[Html]:
    """Explains the line of the front below the chart."""
    y = top + LEGEND_ROW / 2
    yield element("polyline", points=f"{LEFT - 8},{y:g} {LEFT + 8},{y:g}", class_="front")
    yield element("text", "Pareto front; other points are hollow", x=LEFT + 3 * RADIUS, y=y + RADIUS)


def describe_points(labels: tuple[str, str], points: Sequence[Point], front: Collection[str] = ()) -> str:
    """Describes the chart in words."""
    texts = [f"{point.name}, {point.group}: {point.x[0]:.4g}, {point.y[0]:.4g}." for point in points]
    texts += [f"On the Pareto front: {', '.join(front)}."] if front else []
    return f"{labels[1]} over {labels[0]}. {' '.join(texts)}"
