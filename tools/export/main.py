"""Runs `litmobile export`. Its options are parsed before torch is imported, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence

from .formats import find_format
from .options import parse_options


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile export WORDS``."""
    options = parse_options(words)
    options.check()
    find_format(options.to, options.int8)  # refuses a suffix before torch is imported

    from .command import export

    export(options)
