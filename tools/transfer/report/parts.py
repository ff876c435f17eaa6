"""Parts of a report, which are rendered as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...pages import Html, element, paragraph, sortable_table
from ...pages import Section as PageSection


class Link(NamedTuple):
    """A text that leads to a file of the study; ``target`` is relative to its folder."""

    text: str
    target: str


Cell = str | Link | Sequence[Link]


class Table(NamedTuple):
    """A table, whose first column names the rows.

    Attributes:
        caption: what it shows.
        header: names of the columns.
        rows: a cell for each column.
        words: columns of words.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: Sequence[int] = ()


class Charts(NamedTuple):
    """Charts beside each other; Markdown leaves them out, because tables have the same figures."""

    charts: Sequence[Html]


Part = str | Table | Charts


class Section(NamedTuple):
    """A part of the report with a heading; a section without parts is left out."""

    title: str
    parts: Sequence[Part]


def as_html(section: Section) -> PageSection:
    """Renders a section for a page."""
    return PageSection(section.title, [part_as_html(part) for part in section.parts])


def part_as_html(part: Part) -> Html:
    """Renders a part as HTML."""
    if isinstance(part, str):
        return paragraph(part)
    if isinstance(part, Charts):
        return element("div", *part.charts, class_="charts")
    rows = [[cell_as_html(cell) for cell in row] for row in part.rows]
    return sortable_table(part.caption, part.header, rows, part.words)


def cell_as_html(cell: Cell) -> str:
    """Renders a cell as HTML; text is escaped later."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Link):
        return element("a", cell.text, href=cell.target)
    return Html(" ".join(cell_as_html(link) for link in cell))


def as_markdown(section: Section) -> str:
    """Renders a section as Markdown."""
    parts = [part_as_markdown(part) for part in section.parts if not isinstance(part, Charts)]
    return "\n\n".join([f"## {section.title}", *parts])


def part_as_markdown(part: str | Table) -> str:
    """Renders a part as Markdown."""
    if isinstance(part, str):
        return escape(part)
    alignment = ["---" if k == 0 or k in part.words else "---:" for k in range(len(part.header))]
    rows = [[cell_as_markdown(cell) for cell in row] for row in part.rows]
    lines = [f"| {' | '.join(row)} |" for row in (list(map(escape, part.header)), alignment, *rows)]
    return f"{escape(part.caption)}:\n\n" + "\n".join(lines)


def cell_as_markdown(cell: Cell) -> str:
    """Renders a cell as Markdown."""
    if isinstance(cell, str):
        return escape(cell)
    if isinstance(cell, Link):
        return f"[{escape(cell.text)}]({cell.target})"
    return " ".join(cell_as_markdown(link) for link in cell)


def escape(text: str) -> str:
    """Escapes what Markdown would read as formatting."""
    for character in "\\|*_<[`":
        text = text.replace(character, f"\\{character}")
    return text
