"""Text in images: one built-in font on every machine, and system fonts for names that it cannot write."""

from __future__ import annotations

import PIL.ImageFont
import pytest

from litmobile.tasks.drawing import count_missing, load_font, load_system_fonts, shorten_text

BUILT_IN = PIL.ImageFont.load_default(13).getname()
LONG = "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias"


@pytest.mark.parametrize("text", ["", "ant 0.42", "~!"])
def test_ascii_text_has_the_built_in_font(text: str) -> None:
    assert load_font(13, text).getname() == BUILT_IN


@pytest.mark.parametrize("text", ["grün", "žlutý", "蓝色"])
def test_other_text_has_a_system_font_that_covers_it(text: str) -> None:
    """The built-in font stays if no installed font covers the text."""
    is_covered = any(not count_missing(font, text) for font in load_system_fonts(13))
    assert (not count_missing(load_font(13, text), text)) == is_covered
    assert (load_font(13, text).getname() != BUILT_IN) == is_covered


def test_missing_characters_are_counted() -> None:
    built_in = PIL.ImageFont.load_default(13)
    assert not count_missing(built_in, "abc…") and count_missing(built_in, "abcüß") == 2


@pytest.mark.parametrize("width", [40, 100, 1000])
def test_only_long_names_are_shortened(width: int) -> None:
    font = load_font(13)
    text = shorten_text(LONG, font, width)
    assert font.getlength(text) <= width
    if width == 1000:
        assert text == LONG
    else:
        assert text.endswith("…") and LONG.startswith(text[:-1])
        assert font.getlength(LONG[: len(text)] + "…") > width, "no more of it would have fitted"
    assert shorten_text("ox", font, width) == "ox"


def test_a_name_without_space_becomes_an_ellipsis() -> None:
    assert shorten_text(LONG, load_font(13), 1) == "…"
