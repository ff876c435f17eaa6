"""The option ``--size``: height and width of a network's input."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from ...errors import UserError

MIN_SIZE = 32  # pixels: the stride of the coarsest feature maps
SIZE = re.compile(r"(\d+)(?:(?:\s*[x×,]\s*|\s+)(\d+))?")


def add_size_option(parser: ArgumentParser, default: str) -> None:
    """Adds ``--size``; ``default`` says in its help what is taken without it."""
    meaning = f"input size in pixels: one number, or height and width, e.g. 320 or 240x320; by default {default}"
    parser.add_argument("--size", nargs="+", metavar="PIXELS", help=meaning)


def parse_size(words: Sequence[str]) -> tuple[int, int]:
    """Parses the words of ``--size``: "320", "240 320", "240x320" or "[240,320]".

    Returns:
        height and width in pixels.

    Raises:
        UserError: the words have another format, or the size is too small.
    """
    text = " ".join(map(str, words)).strip()
    inside = text[1:-1].strip() if text.startswith("[") and text.endswith("]") else text
    match = SIZE.fullmatch(inside)
    if match is None:
        raise UserError(f"--size takes one number or height and width in pixels, such as 320 or 240x320, not {text!r}.")
    height, width = int(match[1]), int(match[2] or match[1])
    if min(height, width) < MIN_SIZE:
        raise UserError(f"--size must be at least {MIN_SIZE} pixels, the stride of the coarsest maps, not {text}.")
    return height, width
