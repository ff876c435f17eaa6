"""What tests run in worker processes, in a module of its own because a worker cannot import a test file."""

from __future__ import annotations

import os
import sys
from typing import Any

from litmobile.errors import DataError


def report_imports(sample: Any, preprocessing: Any, random: Any) -> Any:
    """Fail as an augmentation does, with the process and the names of all modules that it has imported."""
    raise DataError(f"{os.getpid()} {' '.join(sys.modules)}")
