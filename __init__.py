"""litmobile trains, evaluates and ships small vision networks: any mobile backbone under any head."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

# albumentations asks the network for updates when it is imported, unless this is set before
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if TYPE_CHECKING:
    from .tasks.network import load

try:
    __version__ = version("litmobile")
except PackageNotFoundError:  # imported from a source tree that was never installed
    __version__ = "unknown"

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `litmobile --help` does without it
    if name == "load":
        from .tasks.network import load

        return load
    raise AttributeError(f"module 'litmobile' has no attribute {name!r}")
