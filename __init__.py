"""Trains, evaluates and compares small vision networks: any mobile backbone under any head."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .lazy_exports import lazy_exports

# without this, albumentations looks for updates on the internet when it is imported
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

if TYPE_CHECKING:
    from . import backbones as backbones
    from . import heads as heads
    from . import tasks as tasks
    from .tasks.network import Network as Network
    from .tasks.preprocessing import Preprocessing as Preprocessing
    from .tools.loading import load as load
else:  # torch takes seconds to import, and `litmobile --help` does not need it
    __getattr__, _ = lazy_exports(__name__)

try:
    __version__ = version("litmobile")
except PackageNotFoundError:  # imported from a source tree that is not installed
    __version__ = "unknown"

__all__ = ["Network", "Preprocessing", "__version__", "backbones", "heads", "load", "tasks"]


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
