"""Runs `litmobile demo`. Wrong options and a taken port are found before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence

from .options import parse_options
from .server import DemoServer


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile demo WORDS`` until it is interrupted."""
    options, opens_browser = parse_options(words)
    options.check()
    with DemoServer(options.host, options.port) as server:
        from .command import serve

        serve(server, options, opens_browser)
