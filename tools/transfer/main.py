"""Runs `litmobile transfer`. Its options are parsed before torch is imported, so that `--help` is quick."""

from __future__ import annotations

from collections.abc import Sequence

from .options import parse_options


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile transfer WORDS``."""
    options = parse_options(words)

    from .command import transfer

    transfer(options)
