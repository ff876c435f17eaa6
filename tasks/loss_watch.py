"""Notices losses that are no numbers, without asking the device in every step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import LossError


class Entry(NamedTuple):
    """A step, the images it saw and its loss."""

    step: int
    images: Tensor
    loss: Tensor


class NonFiniteLossGuard:
    """Remembers the losses of the last steps and which images made them, and looks at them every ``every`` steps.

    Looking makes the processor wait for the accelerator; remembering does not.

    Args:
        every: steps from one look to the next.
        name_of: gives the file of an image by its index.
    """

    def __init__(self, every: int, name_of: Callable[[int], str]) -> None:
        self.every = max(1, every)
        self.name_of = name_of
        self._recent: list[Entry] = []

    def note(self, step: int, images: Tensor, loss: Tensor) -> None:
        """Remembers the loss of a step, and looks if it is time to.

        Args:
            step: its number.
            images: ``[N]``, indices of the batch's images.
            loss: a scalar.

        Raises:
            LossError: see :meth:`look`.
        """
        self._recent.append(Entry(step, images, loss.detach()))
        if len(self._recent) >= self.every:
            self.look()

    def look(self) -> None:
        """Forgets the remembered steps if all their losses are finite.

        Raises:
            LossError: one is not; the message names the step and the files of its batch.
        """
        recent, self._recent = self._recent, []
        if not recent:
            return
        losses = torch.stack([entry.loss for entry in recent]).tolist()
        bad = [k for k, loss in enumerate(losses) if not math.isfinite(loss)]
        if not bad:
            return
        entry = recent[bad[0]]
        files = [self.name_of(index) for index in entry.images.tolist()]
        raise LossError(
            f"The loss of step {entry.step} is {losses[bad[0]]}, no finite number: look at the files of its batch, or "
            f"lower the learning rate; it held {', '.join(files)}."
        )
