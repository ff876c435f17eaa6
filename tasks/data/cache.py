"""Folder for what is computed once per machine: verified images and parsed annotations."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "LITMOBILE_CACHE"


def cache_folder(kind: str) -> Path:
    """Returns the folder of cached files of one ``kind``; it may not exist yet.

    It is in ``$LITMOBILE_CACHE``, or else in the user's cache folder. Deleting it costs only time.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litmobile" / kind
