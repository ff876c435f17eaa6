"""Errors that users can act on: the command line shows their message without a traceback."""

from __future__ import annotations


class UserError(ValueError):
    """What was asked for cannot be done. The message says what is wrong, where, and what would be right."""


class TaskError(UserError):
    """Parts of a run contradict each other."""


class DataError(UserError):
    """Data cannot be used for training or evaluation. The message names the file and what is wrong in it."""


class ImageError(DataError):
    """An image cannot be read, or is not what its annotations say."""


class WeightsError(UserError):
    """Weights cannot be found or downloaded, are unsafe to read, or do not fit the network."""


class MissingCheckpointError(UserError, FileNotFoundError):
    """There is no checkpoint at the given path."""


class CheckpointError(UserError):
    """A checkpoint could not be written."""


class LossError(UserError):
    """The training loss is NaN or infinite."""


def format_name(name: str) -> str:
    """``name`` as messages show it: quoted and escaped if it could not be printed on one line."""
    return name if name.isprintable() else repr(name)
