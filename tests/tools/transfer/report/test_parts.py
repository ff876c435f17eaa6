"""Parts of the report are the same as HTML and as Markdown."""

from __future__ import annotations

import pytest

from litmobile.tools.pages import Html
from litmobile.tools.transfer.report.formats import join_names
from litmobile.tools.transfer.report.parts import Charts, Link, Section, Table, as_html, as_markdown

TABLE = Table(
    "Figures", ["name", "value", "cells"], [["a|b <c>", "1", [Link("0", "cells/x/cell.json"), Link("1", "y")]]], (2,)
)


def test_tables_become_markdown() -> None:
    assert as_markdown(Section("One", ["Text with * and _.", TABLE, Charts([Html("<svg/>")])])) == (
        "## One\n\nText with \\* and \\_.\n\nFigures:\n\n"
        "| name | value | cells |\n| --- | ---: | --- |\n| a\\|b \\<c> | 1 | [0](cells/x/cell.json) [1](y) |"
    )


def test_tables_become_html() -> None:
    table, charts = as_html(Section("One", [TABLE, Charts([Html("<svg/>")])])).content
    assert "a|b &lt;c&gt;" in table
    assert '<a href="cells/x/cell.json">0</a> <a href="y">1</a>' in table
    assert charts == '<div class="charts"><svg/></div>'


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A and B"),
        (["A", "B", "C", "D"], "A, B, C and D"),
        (["A", "B", "C", "D", "E"], "A, B, C and 2 others"),
    ],
)
def test_names_are_joined_for_a_sentence(names: list[str], expected: str) -> None:
    assert join_names(names) == expected
