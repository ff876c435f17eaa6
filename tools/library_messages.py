"""Messages of libraries that users cannot act on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

#: library messages that every run would print and users cannot act on
IGNORED_WARNINGS = (
    "It is recommended to use .*sync_dist=True",  # all processes have the same figures
    "`isinstance\\(treespec, LeafSpec\\)` is deprecated",  # by Lightning
    "Precision .* is not supported by the model summary",
    "Found .* in eval mode at the start of training",  # layers of a frozen backbone
    "Got pickle error when attempting to start a worker",  # ResumableLoader raises an error that says more
    "LightningCLI's args parameter is intended to run from within Python",
)
IGNORED_NOTES = ("litlogger", "litmodels", "Loading `train_data", "Ignoring `Trainer(max_time=...)`")


def silence_libraries() -> None:
    """Hides library messages that users cannot act on."""
    for message in IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    # advice on how to read a checkpoint, which does not apply to ours
    logging.getLogger("lightning.pytorch.trainer.connectors.checkpoint_connector").setLevel(logging.WARNING)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: not any(text in record.getMessage() for text in IGNORED_NOTES)
    )


@contextmanager
def raise_log_level(level: int, *names: str) -> Iterator[None]:
    """Lets the loggers ``names`` write only messages of at least ``level`` inside the block."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(level)
    try:
        yield
    finally:
        for logger, old in zip(loggers, before, strict=True):
            logger.setLevel(old)
