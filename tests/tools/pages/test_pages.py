"""Pages load nothing, escape all text, and can be read by keyboard and screen reader."""

from __future__ import annotations

import base64
import hashlib
import re

import numpy as np
import pytest

from litmobile.tools.pages import (
    Bar,
    EmbeddedImage,
    Html,
    Interval,
    Point,
    Section,
    Series,
    bar_chart,
    definitions,
    details,
    element,
    gallery,
    interval_chart,
    line_chart,
    matrix_table,
    paragraph,
    preformatted,
    rank_diagram,
    render_page,
    scatter_chart,
    sortable_table,
    table,
)
from support.pages import HOSTILE, Page

NAN = float("nan")


def build_everything(text: str) -> str:
    """Build a page that uses every element, with ``text`` in every place for text."""
    content = [
        paragraph(text),
        details(text, preformatted(text, text)),
        definitions({text: text}),
        gallery([EmbeddedImage(b"\xff\xd8", text, text)]),
        table(text, [text, text], [[text, text]], words=[1]),
        matrix_table(text, [text, "b"], [text, "b"], np.eye(2), [[text, ""], ["", text]]),
        line_chart(text, (text, text), [Series(text, [0, 1], [1, 2]), Series(text, [0], [1])], note=text),
        interval_chart(text, text, [Interval(text, 0.5, 0.4, 0.6), Interval(text, NAN, NAN, NAN)], rope=0.1),
        bar_chart(text, text, [Bar(text, 1.5, text)]),
        scatter_chart(text, (text, text), [Point(text, text, (1, NAN, NAN), (1, NAN, NAN))], text, [text]),
        rank_diagram(text, {text: 1, "b": 2}, [(1, 2)], 1.5, text),
    ]
    return render_page(text, [text], [Section(text, content), Section("empty", [])], text)


@pytest.mark.parametrize("text", ["plain", HOSTILE, "", "日本 – ü"])
def test_any_text_gives_a_page_without_problems(text: str) -> None:
    page = Page(build_everything(text))
    assert page.problems == [] or text == ""  # without a text, images have no alternative one
    assert not page.find("script")
    assert text in page.text


def test_a_page_may_not_load_anything() -> None:
    policies = [meta for meta in Page(build_everything("a")).find("meta") if "http-equiv" in meta]
    assert [policy["content"].partition(";")[0] for policy in policies] == ["default-src 'none'"]


def render_table(text: str) -> str:
    table = sortable_table(text, [text, text], [[text, Html("<b>1</b>")]], words=[1])
    return render_page(text, [], [Section("a", [paragraph(text), table])])


@pytest.mark.parametrize("text", ["plain", HOSTILE, '<table class="sortable">', ' class="sortable">'])
def test_only_pages_with_a_sortable_table_have_a_script(text: str) -> None:
    assert not Page(build_everything(text)).find("script")
    assert len(Page(render_table(text)).find("script")) == 1
    assert Page(render_table(text)).problems == []


@pytest.mark.parametrize("text", ["plain", HOSTILE])
def test_a_page_allows_exactly_its_own_script(text: str) -> None:
    content = render_table(text)
    (script,) = re.findall("<script>(.*?)</script>", content, re.DOTALL)
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in Page(content).find("meta") if "http-equiv" in meta]
    assert policy.startswith("default-src 'none';")
    assert policy.partition("; script-src ")[2] == f"'sha256-{expected}'"


def test_a_sortable_table_is_a_table_with_a_class() -> None:
    rows = [["a", "1"], ["b", "2"]]
    plain, sortable = (build("c", ["", "n"], rows, [1]) for build in (table, sortable_table))
    assert sortable == plain.replace('<table aria-label="c">', '<table aria-label="c" class="sortable">')


def test_tags_do_not_count_as_long_names() -> None:
    link = Html(f'<a href="#{"a" * 50}">name</a>')
    names = [head for head in Page(table("", ["", "n"], [[link, "1"], ["n" * 31, "1"]])).find("th") if "class" in head]
    assert [name["class"] for name in names] == ["long"]


def test_sections_without_content_are_left_out() -> None:
    page = Page(build_everything("a"))
    assert "empty" not in page.text
    assert [link["href"] for link in page.find("a")] == ["#content", "#s0"]


def test_html_is_not_escaped_again() -> None:
    assert element("p", Html("<b>a</b>"), "<", title='"', lang=None) == '<p title="&quot;"><b>a</b>&lt;</p>'


def test_a_matrix_outlines_cells_of_one_name() -> None:
    page = Page(matrix_table("", ["a", "b", "none"], ["b", "a"], np.eye(3, 2), [["", ""]] * 3))
    styles = [cell.get("class") for cell in page.find("td")]
    assert styles == [None, "diagonal", "diagonal", None, None, None]
