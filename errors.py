"""Errors that users can act on: the command line shows their message without a traceback."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable
from difflib import get_close_matches

#: how a plural ends: boxes, classes, categories, images
PLURAL = re.compile(r"(?:(?<=x)es|(?<=ss)es|ies|(?<=\w)s)\b")
LIMITS = {"at least": operator.ge, "greater than": operator.gt, "at most": operator.le, "less than": operator.lt}


class UserError(ValueError):
    """An error that the user can correct. The message says what is wrong, where, and what would be right."""


class ClassPathError(UserError):
    """A configuration or checkpoint names a class that may not be used. The message starts with "cannot use"."""


class ArgumentError(UserError, TypeError):
    """A part is built with arguments that its constructor does not have."""


class TaskError(UserError):
    """Parts of a run contradict each other."""


class DataError(UserError):
    """Data cannot be used for training or evaluation. The message names the file and what is wrong in it."""


class ImageError(DataError):
    """An image cannot be read, or is not what its annotations say."""


class WeightsError(UserError):
    """Weights cannot be found or downloaded, are damaged or unsafe to read, or do not fit the network."""


class MissingCheckpointError(UserError, FileNotFoundError):
    """No checkpoint exists at the given path."""


class CheckpointError(UserError):
    """A checkpoint could not be written."""


class LossError(UserError):
    """The training loss is NaN or infinite."""


class PredictionError(UserError):
    """A network's output is NaN or infinite."""


class EvaluationError(UserError):
    """Predictions cannot be evaluated: they are NaN, or do not belong to the evaluated data."""


def check_range(
    name: str,
    value: float | None,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> None:
    """Checks that an option is in its range.

    Args:
        name: name of the option.
        value: its value; NaN and None are out of every range.
        ge: smallest allowed value.
        gt: value that it must exceed.
        le: largest allowed value.
        lt: value that it must stay below; infinity for finite values.

    Raises:
        UserError: the value is out of range.
    """
    limits = zip(LIMITS.items(), (ge, gt, le, lt), strict=True)
    given = [(words, holds, limit) for (words, holds), limit in limits if limit is not None]
    if value is None or not all(holds(value, limit) for _, holds, limit in given):
        required = " and ".join("finite" if limit == math.inf else f"{words} {limit}" for words, _, limit in given)
        raise UserError(f"{name} must be {required}, not {value}.")


def format_name(name: str) -> str:
    """Formats ``name`` for a message: quoted and escaped if it contains unprintable characters."""
    return name if name.isprintable() else repr(name)


def format_count(number: int, things: str) -> str:
    """Formats a number of things, e.g. 2 and "boxes left out"; for 1, the first plural becomes singular."""
    singular = PLURAL.sub(lambda ending: "y" if ending[0] == "ies" else "", things, count=1)
    return f"{number:,} {singular if number == 1 else things}"


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message without its full stop, or its class if the message is empty."""
    return (str(error).strip().splitlines() or [""])[0].rstrip(".") or type(error).__name__


def suggest(name: str, names: Iterable[str]) -> str:
    """Returns the end of a message about an unknown ``name``, which suggests the most similar of ``names`` if any."""
    by_lower = {known.lower(): known for known in names}
    similar = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[similar[0]]}?" if similar and by_lower[similar[0]] != name else "."
