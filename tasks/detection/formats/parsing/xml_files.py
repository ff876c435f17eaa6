"""Reads XML files of annotations."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .....errors import DataError


def read_xml(file: Path) -> ElementTree.Element:
    """Returns the first tag of an XML file.

    Raises:
        DataError: the file is missing, is not XML, or defines entities, which can expand to any length.
    """
    try:
        content = file.read_bytes()
        if (
            b"<!ENTITY" in content
            or "<!ENTITY".encode("utf-16-le") in content
            or "<!ENTITY".encode("utf-16-be") in content
        ):
            raise DataError(f"{file} defines XML entities, which annotations do not need; remove its <!DOCTYPE>.")
        return ElementTree.fromstring(content)
    except FileNotFoundError as error:
        raise DataError(f"The annotation file {file} does not exist.") from error
    except (ElementTree.ParseError, RecursionError) as error:
        raise DataError(f"{file} is not an XML file: {error}.") from error
    except (ValueError, LookupError) as error:  # of the encoding that the file names
        raise DataError(f"{file} has an encoding that cannot be read ({error}); save it as UTF-8.") from error


def starts_with_tag(file: Path, tag: str) -> bool:
    """Whether ``tag`` is among the first of an XML file, which may be damaged after it."""
    with file.open("rb") as stream:
        start = stream.read(4096).replace(b"\0", b"")  # 0 in UTF-16
        return bool(re.search(rf"<{tag}[\s>]".encode(), start, re.IGNORECASE))
