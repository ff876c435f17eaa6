"""Writes files so that a reader, or the next start after a kill, never finds half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yields the path of a new file beside ``path``, which replaces ``path`` at the end of the block.

    If the block fails, ``path`` stays as it was. The name of the new file ends in ".part" and contains the number of
    the process, so that two processes do not write to one file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes ``text`` to ``path`` as UTF-8, at once or not at all."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8")
