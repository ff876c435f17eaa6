"""Errors that more than one module of the tasks raises."""


class TaskError(ValueError):
    """Parts of a run that contradict each other."""


class DataError(ValueError):
    """Data that cannot be trained or evaluated on; the message names the file and what is wrong in it."""
