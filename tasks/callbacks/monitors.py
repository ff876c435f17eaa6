"""Callbacks that monitor a figure: whether the task computes it."""

from __future__ import annotations

from collections.abc import Collection

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from ...errors import UserError

MONITORS = (EarlyStopping, ModelCheckpoint)  # callbacks that read a figure by its name


def list_monitored(trainer: Trainer) -> list[tuple[str, str]]:
    """Returns the names of the callbacks that monitor a figure, and of their figures."""
    callbacks: list[Callback] = trainer.callbacks  # pyright: ignore[reportAttributeAccessIssue] — set by a connector, untyped
    return [(type(c).__name__, c.monitor) for c in callbacks if isinstance(c, MONITORS) and c.monitor is not None]


def check_monitors(trainer: Trainer, known: Collection[str]) -> None:
    """Raises UserError if a callback monitors a figure that is not ``known``."""
    for name, monitor in list_monitored(trainer):
        if monitor not in known:
            raise UserError(
                f"--trainer.callbacks: {name} monitors {monitor!r}, which is not one of {', '.join(known)}."
            )


def check_defined(trainer: Trainer, figures: Collection[str]) -> None:
    """Raises UserError if a callback monitors a figure that is undefined for the data, e.g. AP without small objects.

    Args:
        trainer: the trainer after a validation.
        figures: names of the figures of this validation.
    """
    for name, monitor in list_monitored(trainer):
        if monitor.startswith("val/") and monitor not in figures:
            raise UserError(
                f"--trainer.callbacks: {name} monitors {monitor}, which is undefined for the validation split: "
                f"monitor {', '.join(figures)}."
            )
