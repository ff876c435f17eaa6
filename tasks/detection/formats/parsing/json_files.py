"""Reads JSON files of annotations."""

from __future__ import annotations

import json
import mmap
from collections import Counter
from pathlib import Path
from typing import Any

from .....errors import DataError

MAX_BLANKS = 4096  # bytes at the end of a file that are searched for its last character


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
        raise DataError(f"The annotation file {file} does not exist.")
    return file.read_bytes()


def parse_json(data: bytes, file: Path) -> dict[str, Any]:
    """Returns the dictionary that ``data``, the content of ``file``, describes.

    Raises:
        DataError: the content is not JSON, has a key twice in one dictionary, or is something else.
    """
    content = parse_any_json(data, file)
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise DataError(f"{file} is not an annotation file; it contains a {kind} instead of a dictionary.")
    return content


def parse_any_json(data: bytes, file: Path) -> Any:
    """Returns what ``data``, the content of ``file``, describes.

    Raises:
        DataError: the content is not JSON, or has a key twice in one dictionary.
    """
    try:
        return json.loads(data, object_pairs_hook=build_record)
    except RecursionError as error:
        raise DataError(f"{file} is not an annotation file; its lists are nested too deeply.") from error
    except ValueError as error:
        raise DataError(f"{file} is not a JSON file: {error}.") from error


def build_record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the dictionary of ``pairs``; JSON's own parser would keep the last of several values of a key.

    Raises:
        ValueError: a key occurs twice.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        repeated = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {repeated!r} occurs twice in one dictionary")
    return record


def find_keys(file: Path, *keys: str) -> set[str]:
    """Returns which of ``keys`` occur in a JSON file; looks at the bytes, because parsing can take seconds."""
    if not file.stat().st_size:
        return set()
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        encodings = ("utf-16-le", "utf-16-be") if b"\0" in content[:4] else ("utf-8",)
        quoted = {key: [f'"{key}"'.encode(encoding) for encoding in encodings] for key in keys}
        return {key for key in keys if any(content.find(word) >= 0 for word in quoted[key])}


def is_complete(file: Path) -> bool:
    """Whether a JSON file ends with the end of a dictionary or list."""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - MAX_BLANKS))
        return stream.read().rstrip(b"\0\r\n\t ").endswith((b"}", b"]"))
