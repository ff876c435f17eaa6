"""Errors that more than one module of the tasks raises, and names as their messages hold them."""


class TaskError(ValueError):
    """Parts of a run that contradict each other."""


class DataError(ValueError):
    """Data that cannot be trained or evaluated on; the message names the file and what is wrong in it."""


def readable(name: str) -> str:
    """``name``, in quotes and escaped where it could not be printed on one line."""
    return name if name.isprintable() else repr(name)
