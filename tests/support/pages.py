"""Read HTML pages: what a browser, a keyboard and a screen reader get."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "img", "line", "circle", "rect", "polyline", "polygon"}
HOSTILE = "\"><script>alert('&')</script>"
HEADINGS = ("h1", "h2", "h3")


class Page(HTMLParser):
    """A parsed page.

    Attributes:
        elements: name and attributes of every element.
        text: all text outside of the style sheet and scripts.
        problems: what a reader or a browser would stumble over.
    """

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.problems: list[str] = []
        self._open: list[str] = []
        self._level = 0 if content.startswith("<!doctype") else 2  # a part of a page is below its heading
        self.feed(content)
        self.problems += [f"<{name}> is not closed" for name in self._open]
        self.problems += ["the text contains NaN"] if has_nan(self.text) else []
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        self.problems += [f"{name} occurs twice" for name in set(ids) if ids.count(name) > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self._check(tag, attributes)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self._open or self._open.pop() != tag):
            self.problems.append(f"</{tag}> closes another element")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += f"{data} "

    def find(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of all elements of a name."""
        return [attributes for name, attributes in self.elements if name == tag]

    def _check(self, tag: str, attributes: dict[str, str]) -> None:
        sources = [attributes[name] for name in ("src", "href") if name in attributes]
        self.problems += [f"loads {source[:40]}" for source in sources if not source.startswith(("data:", "#"))]
        if tag == "img" and not attributes.get("alt"):
            self.problems.append("an image has no alternative text")
        if tag == "svg" and not (attributes.get("role") == "img" and attributes.get("aria-label")):
            self.problems += [] if attributes.get("aria-hidden") else ["a chart has no description"]
        if attributes.get("class") == "scroll" and attributes.get("tabindex") != "0":
            self.problems.append("a part cannot be scrolled by keyboard")
        if tag in HEADINGS:
            level = 1 + HEADINGS.index(tag)
            self.problems += [f"a heading skips a level at <{tag}>"] if level > self._level + 1 else []
            self._level = level
        self.problems += [f"<{tag}> has the value {value}" for value in attributes.values() if has_nan(value)]


def has_nan(text: str) -> bool:
    """Whether a text contains NaN as a number."""
    return re.search(r"\bnan\b", text, re.IGNORECASE) is not None
