"""The frame of a page: title, answer, contents and sections, in one file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

from .html import Html, element, join
from .tables import SORTABLE

#: a page loads nothing and runs no script but ``sort.js``, whatever its texts contain
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Section(NamedTuple):
    """A part of a page.

    Attributes:
        title: its heading, which is also listed in the contents.
        content: paragraphs, tables, charts and images; a section without content is left out.
    """

    title: str
    content: Sequence[Html]


def render_page(title: str, answer: Sequence[str], sections: Sequence[Section], note: str = "") -> str:
    """Renders a page as the text of an HTML file.

    Args:
        title: heading of the page and title of the window.
        answer: sentences that a reader should read first.
        sections: the rest, in order.
        note: below the answer, in smaller type.
    """
    shown = [section for section in sections if section.content]
    parts = [render_section(section, f"s{k}") for k, section in enumerate(shown)]
    scripts = [read_file("sort.js")] if any(has_sortable_table(part) for part in parts) else []
    policy = "".join((POLICY, *(f"; script-src {hash_script(script)}" for script in scripts)))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", read_file("style.css")),
    )
    header = element(
        "header",
        element("h1", title),
        *(element("p", sentence, class_="answer") for sentence in answer),
        *([element("p", note, class_="note")] if note else []),
    )
    links = [element("li", element("a", shown[k].title, href=f"#s{k}")) for k in range(len(shown))]
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        header,
        element("nav", element("ul", *links), aria_label="Contents"),
        element("main", *parts, id="content"),
        *(element("script", script) for script in scripts),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def read_file(name: str) -> Html:
    """Reads a file of this package, whose text becomes a part of the page."""
    return Html((files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8"))


def has_sortable_table(content: str) -> bool:
    """Whether ``content`` has a sortable table; texts cannot imitate it, because their quotation marks are escaped."""
    return f' class="{SORTABLE}">' in content


def hash_script(script: str) -> str:
    """Returns the source that allows exactly this script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def render_section(section: Section, name: str) -> Html:
    """Renders a section, to which the address ``#name`` leads."""
    heading = element("h2", section.title, id=f"{name}-title")
    return element("section", heading, join(section.content), id=name, aria_labelledby=f"{name}-title")
