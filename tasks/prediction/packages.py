"""The package supervision, which is optional."""

from __future__ import annotations

import importlib
from types import ModuleType

from ...errors import UserError, first_line


def import_supervision() -> ModuleType:
    """Imports ``supervision``.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module("supervision")
    except ImportError as error:
        raise UserError(
            f"supervision cannot be imported ({first_line(error)}); install it with pip install "
            "'litmobile[supervision]'."
        ) from error
