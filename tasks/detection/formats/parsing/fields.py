"""Parses single values of annotation files; a value is never taken by its truth, and an id never through a float."""

from __future__ import annotations

import math
import re
import unicodedata

YES, NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n", "", "unspecified", "none", "null")
INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?")
MAX_SAFE_FLOAT = 2**53  # from here on, neighbouring integers share a float
FRACTION_ROUNDING = 1e-3  # by which a coordinate may be outside the image
MAX_SHOWN = 60  # characters of a value in a message


class FieldError(ValueError):
    """A value has the wrong type or range. The message completes "RECORD has FIELD …"."""


def parse_flag(value: object) -> bool:
    """Parses an optional flag: a boolean, a number, or a word such as "0", "False", "Unspecified" or "true".

    Raises:
        FieldError: the value is neither yes nor no.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    word = f"{value:g}" if isinstance(value, int | float) else str(value).strip().lower()
    if word in NO:
        return False
    if word in YES:
        return True
    raise FieldError(f"{format_value(value)}, which is neither 0 nor 1")


def parse_number(value: object) -> float:
    """Parses a finite number, which may be written as text.

    Raises:
        FieldError: the value is not a finite number.
    """
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool) and math.isfinite(float(value)):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise FieldError(f"{format_value(value)}, which is not a number")


def parse_fraction(text: str) -> float:
    """Parses a coordinate that is a fraction of the image's side.

    Raises:
        FieldError: the text is not a number from 0 to 1; coordinates in pixels are not.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if -FRACTION_ROUNDING <= value <= 1 + FRACTION_ROUNDING and "_" not in text:  # Python allows _ between digits
        return value
    raise FieldError(f"the coordinate {format_value(text)}, which is not a fraction from 0 to 1 of the image's side")


def parse_integer(value: object) -> int:
    """Parses an integer, which may be written as 64.0 or as text.

    Raises:
        FieldError: the value is not an integer of 64 bits, or is a float too large to be exact.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_SAFE_FLOAT:
        value = int(value)
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        value = int(value.strip().partition(".")[0])
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    raise FieldError(f"{format_value(value)}, which is not an integer")


def parse_name(value: object) -> str:
    """Parses a class or file name: text in Unicode's NFC, without blanks around it; numbers become text.

    Raises:
        FieldError: the name is empty, or contains a line break or another character that cannot be printed.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise FieldError(f"{format_value(value)}, which is not a name")
    name = unicodedata.normalize("NFC", str(value)).strip()
    if not name or any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        raise FieldError(f"{format_value(value)}, which is not a name of one printable line")
    return name


def format_value(value: object) -> str:
    """Formats a value for a message: on one line, and short."""
    return repr(value) if len(repr(value)) <= MAX_SHOWN else f"{repr(value)[:MAX_SHOWN]}…"
