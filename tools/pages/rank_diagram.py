"""Critical-difference diagrams (Demšar 2006): mean ranks, and which of them cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .axes import Axis
from .charts import RIGHT, TOP, WIDTH, build_figure, name_width, shorten
from .html import Html, element

DISTANCE_ROW = 24  # height of the critical distance with its label
AXIS_ROW = 22  # height of the axis with its labels
BAR_ROW = 7  # height of a row of bars
BAR_GAP = 12  # least distance between ranges whose bars are in one row
ROW = 18  # height of a row of names
CAP = 4  # half the height of the ends of the critical distance
MIN_AXIS = 140  # length down to which names are on both sides; otherwise all are on the left
TICK = 20  # space of a label


def rank_diagram(
    title: str,
    ranks: Mapping[str, float],
    groups: Sequence[tuple[float, float]],
    distance: float,
    note: str = "",
) -> Html:
    """Draws mean ranks on an axis, with bars over those that cannot be told apart.

    Args:
        title: heading of the figure.
        ranks: mean ranks by name; 1 is best.
        groups: lowest and highest rank of those that cannot be told apart.
        distance: the critical distance, drawn above the axis.
        note: below the chart.
    """
    names = sorted(ranks, key=ranks.__getitem__)
    left, right = split_names(names)
    end = WIDTH - name_width(right) if right else WIDTH - RIGHT
    axis = Axis(1, max(2, len(names)), name_width(left), end)
    levels = stack_groups(groups, gap=BAR_GAP * (axis.high - axis.low) / (axis.end - axis.start))
    line = TOP + DISTANCE_ROW + AXIS_ROW
    first = line + BAR_ROW * (1 + len(levels)) + ROW / 2
    parts = [*draw_distance(axis, distance), *draw_rank_axis(axis, line)]
    for side, is_left in ((left, True), (right, False)):
        for k, name in enumerate(side):
            parts.append(draw_rank(name, ranks[name], axis, (line, first + ROW * k), is_left))
    for k, level in enumerate(levels):
        parts += draw_groups(level, axis, line + BAR_ROW * (k + 1))
    height = first + ROW * len(left)
    return build_figure(title, (WIDTH, height), parts, describe_ranks(ranks, names, groups, distance), Html(), note)


def split_names(names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Returns the better half for the left side and the worse one, worst first, for the right if names are short.

    So the lines from the axis to the names do not cross.
    """
    half = (len(names) + 1) // 2
    left, right = names[:half], names[half:][::-1]
    is_short = WIDTH - name_width(left) - name_width(right) >= MIN_AXIS
    return (left, right) if is_short else (names, [])


def stack_groups(groups: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """Distributes ranges over as few levels as possible, so that those of one level are a ``gap`` of ranks apart."""
    levels: list[list[tuple[float, float]]] = []
    for group in sorted(groups):
        free = next((level for level in levels if level[-1][1] + gap <= group[0]), None)
        if free is None:
            levels.append([group])
        else:
            free.append(group)
    return levels


def draw_distance(axis: Axis, distance: float) -> Iterable[Html]:
    """Draws the critical distance as a bar of its length from rank 1; one beyond the axis has no right end."""
    y = TOP + DISTANCE_ROW - CAP
    end = axis.position(1 + distance)
    yield element("text", f"critical distance {distance:.2f}", x=axis.start, y=y - CAP - 4)
    yield element("line", x1=axis.start, x2=end, y1=y, y2=y, class_="rule")
    for x in (axis.start, end) if 1 + distance <= axis.high else (axis.start,):
        yield element("line", x1=x, x2=x, y1=y - CAP, y2=y + CAP, class_="rule")


def draw_rank_axis(axis: Axis, y: float) -> Iterable[Html]:
    """Draws the axis of ranks with labels above it."""
    yield element("line", x1=axis.start, x2=axis.end, y1=y, y2=y, class_="rule")
    step = 1
    while (axis.end - axis.start) / (axis.high - axis.low) * step < TICK:
        step += 1
    for rank in range(int(axis.low), int(axis.high) + 1):
        x = axis.position(rank)
        yield element("line", x1=x, x2=x, y1=y - CAP, y2=y, class_="rule")
        if (rank - 1) % step == 0:
            yield element("text", str(rank), x=x, y=y - CAP - 3, text_anchor="middle", class_="quiet")


def draw_rank(name: str, rank: float, axis: Axis, rows: tuple[float, float], is_left: bool) -> Html:
    """Draws a name, and the line from its rank on the axis to it."""
    x = axis.position(rank)
    end = axis.start - 4 if is_left else axis.end + 4
    points = f"{x:g},{rows[0]:g} {x:g},{rows[1]:g} {end:g},{rows[1]:g}"
    place = {"x": end - 4 if is_left else end + 4, "y": rows[1] + 4, "text_anchor": "end" if is_left else "start"}
    tip = element("title", f"{name}: {rank:.2f}")
    return element(
        "g", tip, element("polyline", points=points, class_="leader"), element("text", shorten(name), **place)
    )


def draw_groups(groups: Iterable[tuple[float, float]], axis: Axis, y: float) -> Iterable[Html]:
    """Draws a bar over each range of ranks, a bit longer than the range, as an equal rank has no length."""
    for low, high in groups:
        yield element("line", x1=axis.position(low) - 3, x2=axis.position(high) + 3, y1=y, y2=y, class_="bar")


def describe_ranks(
    ranks: Mapping[str, float], names: Sequence[str], groups: Sequence[tuple[float, float]], distance: float
) -> str:
    """Describes the diagram in words."""
    texts = [f"{name}: {ranks[name]:.2f}." for name in names]
    for low, high in sorted(groups):
        members = [name for name in names if low - 1e-9 <= ranks[name] <= high + 1e-9]
        texts.append(f"Cannot be told apart: {', '.join(members)}.")
    return f"Mean ranks, 1 is best. {' '.join(texts)} Critical distance {distance:.2f}."
