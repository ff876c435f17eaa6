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
    return parse_json(read_bytes(file), file)


def read_bytes(file: Path) -> bytes:
    """Returns the content of an annotation file.

    Raises:
        DataError: the file is missing.
    """
    if not file.is_file():
        raise DataError(f"There is no annotation file {file}.")
    return file.read_bytes()


def parse_json(data: bytes, file: Path) -> dict[str, Any]:
    """Returns the dictionary that ``data``, the content of ``file``, describes.

    Raises:
        DataError: the content is not JSON, or is something else.
    """
    try:
        content = json.loads(data)
    except RecursionError as error:
        raise DataError(f"{file} is not an annotation file; its lists are nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"{file} is not a JSON file: {error}.") from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DataError(f"{file} is not an annotation file; it contains a {kind} instead of a dictionary.")
    return content
