"""Text in images, and figures as text."""

from __future__ import annotations

import bisect
import contextlib
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from ..images import Image
from .colours import Colour, choose_text_colour

Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont

#: font files of Linux, macOS and Windows, those with the most glyphs first
SYSTEM_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
MISSING_CHARACTER = "\ufffe"  # no font has a glyph for it


@functools.lru_cache(maxsize=64)  # bounded, because every video frame has a text of its own
def load_font(size: int, text: str = "") -> Font:
    """Loads Pillow's built-in font, or a system font if the built-in one lacks characters of ``text``.

    The built-in font is the same on every machine but covers ASCII only. If no font covers the whole text, the one that
    lacks the fewest characters is used.
    """
    built_in = PIL.ImageFont.load_default(size)
    if text.isascii():
        return built_in
    return min((built_in, *load_system_fonts(size)), key=lambda font: count_missing(font, text))


def load_system_fonts(size: int) -> Iterator[Font]:
    """Loads those of :data:`SYSTEM_FONTS` that are installed."""
    for name in SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            yield PIL.ImageFont.truetype(name, size)


def count_missing(font: Font, text: str) -> int:
    """Counts the distinct characters of ``text`` that ``font`` has no glyph for."""

    def draw_glyph(character: str) -> bytes:
        return bytes(font.getmask(character))  # pyright: ignore[reportArgumentType] — Pillow's stub does not say it can

    return [draw_glyph(character) for character in set(text)].count(draw_glyph(MISSING_CHARACTER))


def shorten_text(text: str, font: Font, width: float) -> str:
    """Returns ``text``, with its end replaced by "…" if it is wider than ``width`` pixels."""
    if font.getlength(text) <= width:
        return text
    end = bisect.bisect_right(range(len(text)), width, key=lambda end: font.getlength(text[:end] + "…"))
    return text[: max(0, end - 1)] + "…"


def draw_text_lines(lines: Sequence[str], width: int, font_size: int, background: Colour) -> Image:
    """Draws ``lines`` of text below each other, ``[h, width, 3]``; lines that are too long are shortened."""
    font = load_font(font_size, "".join(lines))
    line_height = round(font.getbbox("Äg")[3]) + 3
    canvas = PIL.Image.new("RGB", (width, line_height * len(lines) + 3), background)
    pen = PIL.ImageDraw.Draw(canvas)
    for k, line in enumerate(lines):
        position = (4, 1 + k * line_height)
        pen.text(position, shorten_text(line, font, width - 8), fill=choose_text_colour(background), font=font)
    return np.array(canvas)


def format_figure(value: float | None, digits: int = 4) -> str:
    """Formats a figure with ``digits`` digits after the point, or as a dash if it is None."""
    return "–" if value is None else f"{value:.{digits}f}"
