"""Builds HTML elements; text is escaped unless it is marked as HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Attribute = str | int | float | None

#: elements without content
VOID = frozenset({"img", "meta", "line", "circle", "rect", "polyline", "polygon"})


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def escape(text: str) -> Html:
    """Escapes ``text`` for HTML and attributes; :class:`Html` stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(text))


def element(name: str, /, *children: str, **attributes: Attribute) -> Html:
    """Builds an element, e.g. ``element("a", "next", href="#next", class_="link")``.

    Args:
        name: of the element, e.g. "p".
        children: HTML, or text, which is escaped.
        attributes: by name, with ``_`` for ``-``; a final ``_`` is dropped, and None is no attribute.
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    start = "".join(f' {key}="{html.escape(str(value))}"' for key, value in given.items())
    if name in VOID:
        return Html(f"<{name}{start}/>")
    return Html(f"<{name}{start}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Html:
    """Joins HTML and text, which is escaped."""
    return Html("".join(map(escape, parts)))


def paragraph(*text: str) -> Html:
    """Builds a paragraph."""
    return element("p", *text)


def details(summary: str, *content: str) -> Html:
    """Builds a part that opens when its ``summary`` is clicked."""
    return element("details", element("summary", summary), *content)


def preformatted(text: str, label: str) -> Html:
    """Builds a block of code that scrolls; ``label`` is its name for screen readers."""
    return scroll(element("pre", text), label)


def scroll(content: Html, label: str) -> Html:
    """Lets wide ``content`` scroll, also by keyboard; ``label`` is its name for screen readers."""
    return element("div", content, class_="scroll", tabindex=0, role="region", aria_label=label)


class EmbeddedImage(NamedTuple):
    """An image file to embed.

    Attributes:
        content: of a JPEG file.
        caption: text below it.
        alt: text in place of it.
    """

    content: bytes
    caption: str
    alt: str


def gallery(images: Iterable[EmbeddedImage], is_wide: bool = False) -> Html:
    """Arranges images with captions in a grid; wide ones are below each other, so that their labels can be read."""
    return element("div", *map(figure, images), class_="gallery wide" if is_wide else "gallery")


def figure(image: EmbeddedImage) -> Html:
    """Embeds an image with its caption."""
    source = f"data:image/jpeg;base64,{base64.b64encode(image.content).decode()}"
    embedded = element("img", src=source, alt=image.alt, loading="lazy")
    return element("figure", embedded, element("figcaption", image.caption))


def definitions(values: Mapping[str, str]) -> Html:
    """Builds a list of names with their values."""
    pairs = (join((element("dt", name), element("dd", value))) for name, value in values.items())
    return element("dl", *pairs)
