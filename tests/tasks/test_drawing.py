"""Letters of drawn pictures: the same font everywhere, and the system's for names that it cannot write."""

from __future__ import annotations

import PIL.ImageFont
import pytest

from litmobile.tasks.drawing import font, lacking, system_fonts

OWN = PIL.ImageFont.load_default(13).getname()


@pytest.mark.parametrize("letters", ["", "ant 0.42", "~!"])
def test_ascii_is_written_in_the_same_font_on_every_machine(letters: str) -> None:
    assert font(13, letters).getname() == OWN


@pytest.mark.parametrize("letters", ["grün", "žlutý", "蓝色"])
def test_other_letters_are_written_in_a_font_that_has_them_if_there_is_one(letters: str) -> None:
    there = any(not lacking(found, letters) for found in system_fonts(13))
    assert (not lacking(font(13, letters), letters)) == there
    assert (font(13, letters).getname() == OWN) != there


def test_a_font_is_known_to_lack_letters() -> None:
    own = PIL.ImageFont.load_default(13)
    assert not lacking(own, "abc…") and lacking(own, "abcüß") == 2
