"""Trains, evaluates and compares small vision networks: any mobile backbone under any head."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

# without this, albumentations looks for updates on the internet when it is imported
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if TYPE_CHECKING:
    from .tasks.network import load

try:
    __version__ = version("litmobile")
except PackageNotFoundError:  # imported from a source tree that is not installed
    __version__ = "unknown"

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import, and `litmobile --help` does not need it
    if name == "load":
        from .tasks.network import load

        return load
    raise AttributeError(f"module 'litmobile' has no attribute {name!r}")
