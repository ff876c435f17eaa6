"""Errors that users can act on: the command line shows their message without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """An error that the user can correct. The message says what is wrong, where, and what would be right."""


class TaskError(UserError):
    """Parts of a run contradict each other."""


class DataError(UserError):
    """Data cannot be used for training or evaluation. The message names the file and what is wrong in it."""


class ImageError(DataError):
    """An image cannot be read, or is not what its annotations say."""


class WeightsError(UserError):
    """Weights cannot be found or downloaded, are unsafe to read, or do not fit the network."""


class MissingCheckpointError(UserError, FileNotFoundError):
    """No checkpoint exists at the given path."""


class CheckpointError(UserError):
    """A checkpoint could not be written."""


class LossError(UserError):
    """The training loss is NaN or infinite."""


def check_range(
    name: str,
    value: float,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
) -> None:
    """Checks that an option is in its range.

    Args:
        name: name of the option.
        value: its value; NaN is out of every range.
        ge: smallest allowed value.
        gt: value that it must exceed.
        le: largest allowed value.
        lt: value that it must stay below.

    Raises:
        UserError: the value is out of range.
    """
    limits = {"at least": ge, "greater than": gt, "at most": le, "less than": lt}
    is_valid = (
        (ge is None or value >= ge)
        and (gt is None or value > gt)
        and (le is None or value <= le)
        and (lt is None or value < lt)
    )
    if not is_valid:
        required = " and ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)
        raise UserError(f"{name} must be {required}, not {value}.")


def format_name(name: str) -> str:
    """Formats ``name`` for a message: quoted and escaped if it contains unprintable characters."""
    return name if name.isprintable() else repr(name)


def suggest(name: str, names: Iterable[str]) -> str:
    """Returns the end of a message about an unknown ``name``, which suggests the most similar of ``names`` if any."""
    by_lower = {known.lower(): known for known in names}
    similar = get_close_matches(name.lower(), by_lower, 1)
    return f"; did you mean {by_lower[similar[0]]}?" if similar else "."
