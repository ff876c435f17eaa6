"""Reads JSON files of annotations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ....errors import DataError


def read_json(file: Path) -> dict[str, Any]:
    """Reads a JSON file that contains a dictionary.

    Raises:
        DataError: the file is missing, is not JSON, or contains something else.
    """
    if not file.is_file():
        raise DataError(f"There is no annotation file {file}.")
    try:
        content = json.loads(file.read_bytes())
    except RecursionError as error:
        raise DataError(f"{file} is not an annotation file; its lists are nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"{file} is not a JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{file} is not an annotation file; it contains a {type(content).__name__} instead of a dictionary."
        )
    return content
