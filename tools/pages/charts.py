"""What charts share: each is inline SVG in a figure with a heading and a text for screen readers.

Charts are narrow, because two fit beside each other on a wide screen and one on a phone without being shrunk.
"""

from __future__ import annotations

from collections.abc import Iterable

from .axes import TICK_HEIGHT, Axis, format_tick
from .html import Html, element, join

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 8, 38  # margins of a chart with two axes
MAX_NAME = 22  # characters of a name beside a mark
DIFFERENCE = " − "  # between two names
CHARACTER = 7.2  # typical width of a character
COLOURS = 8  # s0 … s7 of style.css


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


def name_width(names: Iterable[str]) -> float:
    """Returns the width of a column of names, shortened, beside marks."""
    return round(max((len(shorten(name)) for name in names), default=0) * CHARACTER + 14)


def build_figure(
    title: str, size: tuple[float, float], parts: Iterable[Html], description: str, legend: Html, note: str
) -> Html:
    """Builds the figure around a drawing; ``description`` says in words what it shows."""
    drawing = element(
        "svg", *parts, viewBox=f"0 0 {size[0]:g} {size[1]:g}", role="img", aria_label=f"{title}. {description}"
    )
    caption = [element("figcaption", note)] if note else []
    return element("figure", element("h3", title), drawing, legend, join(caption))
