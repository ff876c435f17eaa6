"""`--size` has one spelling in all commands."""

from __future__ import annotations

import pytest

from litmobile.errors import UserError
from litmobile.tools.options.parser import Parser
from litmobile.tools.options.sizes import add_size_option, parse_size


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (["--size", "320"], (320, 320)),
        (["--size=320"], (320, 320)),
        (["--size", "240", "320"], (240, 320)),
        (["--size", "240x320"], (240, 320)),
        (["--size=240×320"], (240, 320)),
        (["--size", "[240,320]"], (240, 320)),
        (["--size=[240, 320]"], (240, 320)),
    ],
)
def test_spellings_of_a_size(words: list[str], size: tuple[int, int]) -> None:
    parser = Parser()
    add_size_option(parser, "none")
    assert parse_size(parser.parse_words(words)["size"]) == size


@pytest.mark.parametrize(
    "words", [["big"], ["320", "320", "3"], ["-320"], ["3.5"], ["31"], ["320", "8"], [""], ["[240,320"]]
)
def test_wrong_sizes_are_refused(words: list[str]) -> None:
    with pytest.raises(UserError, match=r"--size (takes one number or height and width|must be at least 32 pixels)"):
        parse_size(words)
