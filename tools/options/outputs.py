"""Checks of files that commands write at their end."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import UserError


def check_output(option: str, path: Path) -> None:
    """Checks that a file can probably be written, before minutes are spent on its content.

    Args:
        option: that names the file, e.g. "--to".
        path: the file; folders that do not exist will be created.

    Raises:
        UserError: the path is a folder, or cannot be written.
    """
    if path.is_dir():
        raise UserError(f"{option} {path} is a folder; name a file.")
    existing = next(folder for folder in path.absolute().parents if folder.exists())
    if not existing.is_dir():
        raise UserError(f"{option} {path} is inside {existing}, which is not a folder; name a file in a folder.")
    if not os.access(existing, os.W_OK):
        raise UserError(f"{option} {path} cannot be written: the folder {existing} is read-only for you.")
