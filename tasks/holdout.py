"""Validating on a share of training's images where there are no others for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import UserError
from .split import Split

S = TypeVar("S", bound=Split)


class TrainValSplit(Generic[S]):
    """Splits validation off training, and keeps each part until it is asked for.

    Args:
        share: of the images that is split off.
        seed: what decides which images these are.
        split_off: parts a split in two by share and seed, the second being for validation.

    Raises:
        ValueError: ``share`` is none, or ``seed`` below 0.
    """

    def __init__(self, share: float, seed: int, split_off: Callable[[S, float, int], tuple[S, S]]) -> None:
        if not 0 < share < 1:
            raise UserError(f"val_fraction must be in 0 … 1, neither included, not {share}.")
        if seed < 0:
            raise UserError(f"split_seed must be 0 or more, not {seed}.")
        self.share = share
        self.seed = seed
        self.split_off = split_off
        # what has not been asked for yet: reading it again would take as long again
        self._parts: dict[str, S] = {}

    def part(self, split: str, read: Callable[[], S]) -> S:
        """The part of what ``read`` gives that "train" or "val" is."""
        if split not in self._parts:
            parts = self.split_off(read(), self.share, self.seed)
            self._parts = dict(zip(("train", "val"), parts, strict=True))
        return self._parts.pop(split)
