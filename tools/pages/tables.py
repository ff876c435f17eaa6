"""Tables of text and of shares."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .html import Html, element, join, scroll

LONG_NAME = 30  # characters of the name of a row, from which it may be broken
SORTABLE = "sortable"  # class of tables that sort.js sorts


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = ()) -> Html:
    """Builds a table, whose first column names the rows.

    Args:
        caption: what the table shows.
        header: names of the columns.
        rows: a cell for each column.
        words: columns of words, which are aligned to the left; numbers are aligned to the right.
    """
    return build_table(caption, *build_rows(header, rows, words))


def sortable_table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int] = ()
) -> Html:
    """Builds a table that a browser with JavaScript sorts by the column whose name is clicked, and back.

    Cells that begin with a number are sorted by it, others alphabetically after them, and empty ones are last.

    Args:
        caption: what the table shows.
        header: names of the columns.
        rows: a cell for each column.
        words: columns of words, which are sorted alphabetically even if they begin with a number.
    """
    return build_table(caption, *build_rows(header, rows, words), SORTABLE)


def build_rows(header: Sequence[str], rows: Iterable[Sequence[str]], words: Collection[int]) -> tuple[Html, Html]:
    """Builds the head and the body of a table."""
    rows = list(rows)
    styles = [find_style([row[k] for row in rows]) if k in words else None for k in range(len(header))]

    def build_row(cells: Sequence[str]) -> Html:
        first, *others = cells
        rest = [element("td", text, class_=style) for text, style in zip(others, styles[1:], strict=True)]
        name = element("th", first, scope="row", class_="long" if count_characters(first) > LONG_NAME else None)
        return element("tr", name, *rest)

    columns = [element("th", text, scope="col", class_=style) for text, style in zip(header, styles, strict=True)]
    return element("thead", element("tr", *columns)), element("tbody", *map(build_row, rows))


def find_style(cells: Iterable[str]) -> str:
    """Returns the class of a column of words: long texts are broken into lines, short ones are not."""
    return "words" if any(count_characters(text) > LONG_NAME for text in cells) else "words short"


def count_characters(text: str) -> int:
    """Counts the characters that a reader sees; the tags of HTML are none."""
    return len(re.sub("<[^>]*>", "", text)) if isinstance(text, Html) else len(text)


def build_table(caption: str, head: Html, body: Html, style: str | None = None) -> Html:
    """Builds a table that scrolls, below its caption, which stays in place and may be wider than the table."""
    content = element("table", head, body, aria_label=caption, class_=style)
    return join((element("p", caption, class_="note"), scroll(content, caption)))


def matrix_table(
    caption: str,
    rows: Sequence[str],
    columns: Sequence[str],
    shares: NDArray[np.float64],
    texts: Sequence[Sequence[str]],
) -> Html:
    """Builds a table whose cells are shaded by shares; cells of a row and column of one name are outlined.

    Args:
        caption: what rows and columns are.
        rows: their names.
        columns: their names.
        shares: ``[rows, columns]``, 0 … 1.
        texts: of the cells.
    """

    def build_cell(row: int, column: int) -> Html:
        is_diagonal = rows[row] == columns[column]
        share = f"--share: {shares[row, column]:.3f}"
        return element("td", texts[row][column], style=share, class_="diagonal" if is_diagonal else None)

    def build_row(row: int) -> Html:
        cells = (build_cell(row, column) for column in range(len(columns)))
        return element("tr", element("th", rows[row], scope="row"), *cells)

    header = element("tr", element("th", ""), *(element("th", name, scope="col") for name in columns))
    body = element("tbody", *map(build_row, range(len(rows))))
    return build_table(caption, element("thead", header), body, "matrix")
