"""Length of a training that follows the size of its data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info

from ..errors import UserError, check_range

UNLIMITED = -1  # Lightning's value of max_epochs and max_steps without a limit
MAX_EVALUATION_SHARE = 0.1  # of the time of a training
EVALUATION_COST = 0.5  # of an image, relative to a training step's; measured at most


@dataclass(frozen=True)
class TrainingLength:
    """Length of a training whose Trainer has no limit (``max_epochs: -1``): epochs, within limits on their steps.

    A few images need many epochs, because a network needs some number of steps; many images need few epochs.

    Attributes:
        epochs: number of passes through the training images, e.g. 60.
        min_steps: smallest number of optimiser steps, e.g. 1500; with a few images it raises the number of epochs.
        max_steps: largest number of optimiser steps, e.g. 15000, but never less than one epoch.
        evaluations: number of validations, e.g. 15; fewer if they would take more than about a tenth of the time.
            ``trainer.check_val_every_n_epoch`` replaces it, unless that is 1, its default.
    """

    epochs: int = 60
    min_steps: int = 1500
    max_steps: int = 15000
    evaluations: int = 15

    def __post_init__(self) -> None:
        for name in ("epochs", "min_steps", "evaluations"):
            check_range(f"length.{name}", getattr(self, name), ge=1)
        if self.max_steps < self.min_steps:
            raise UserError(f"length.max_steps={self.max_steps} must be at least min_steps={self.min_steps}.")

    def count_epochs(self, steps_per_epoch: int) -> int:
        """Returns the number of epochs of ``steps_per_epoch`` optimiser steps."""
        steps = min(max(self.epochs * steps_per_epoch, self.min_steps), self.max_steps)
        if steps == self.max_steps:
            return max(1, steps // steps_per_epoch)
        return math.ceil(steps / steps_per_epoch)

    def choose_interval(self, epochs: int, train_images: int, val_images: int) -> int:
        """Returns the number of epochs from one validation to the next.

        Args:
            epochs: number of epochs of the training.
            train_images: number of images of an epoch.
            val_images: number of images of a validation.
        """
        affordable = MAX_EVALUATION_SHARE * epochs * train_images / (EVALUATION_COST * max(1, val_images))
        return math.ceil(epochs / max(1, min(self.evaluations, epochs, int(affordable))))

    def set_limits(self, trainer: Trainer, train_images: int, val_images: int) -> None:
        """Sets and logs the number of epochs and the interval of validations, unless the Trainer has a limit.

        The training data must be set up, so that the number of batches is known. It is that of one process, so all
        processes set the same limits.
        """
        if trainer.max_epochs != UNLIMITED or trainer.max_steps != UNLIMITED:
            return
        steps = math.ceil(max(1, trainer.num_training_batches) / trainer.accumulate_grad_batches)
        epochs = self.count_epochs(steps)
        if trainer.check_val_every_n_epoch == 1:
            trainer.check_val_every_n_epoch = self.choose_interval(epochs, train_images, val_images)
        trainer.fit_loop.max_epochs = epochs
        every = trainer.check_val_every_n_epoch
        rank_zero_info(
            f"Length for {train_images:,} images: {epochs * steps:,} steps in {epochs} epochs, validated every "
            f"{'epoch' if every == 1 else f'{every} epochs'}."
        )
