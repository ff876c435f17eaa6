"""The loader of all tasks, which continues within an epoch, and what it runs in its worker processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

from torch.utils.data import BatchSampler, DataLoader

from ...errors import DataError, TaskError
from .sampling import MultiScaleBatches, ShardSampler, ShuffledSampler


def collate_or_return_error(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    """Collates samples, or returns the first error among them, for the training process to raise."""
    error = next((item for item in items if isinstance(item, DataError)), None)
    return collate(items) if error is None else error


class Position(TypedDict):
    """The number of completed batches of an epoch."""

    epoch: int
    batches: int


class ResumableLoader(DataLoader[Any]):
    """A loader that stores its position in checkpoints and continues from it.

    Lightning sets the sampler's epoch before it iterates. The batches must come from a batch sampler, because Lightning
    replaces a plain sampler if ``overfit_batches`` is set.
    """

    position: Position = Position(epoch=0, batches=0)
    resume_at: Position | None = None

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride] — torch declares a narrower return type
        batches = self.batch_sampler
        assert isinstance(batches, BatchSampler | MultiScaleBatches)
        sampler = batches.sampler
        assert isinstance(sampler, ShuffledSampler | ShardSampler | MultiScaleBatches)
        self.position = Position(epoch=sampler.epoch, batches=0)
        if self.resume_at is not None and self.resume_at["epoch"] == sampler.epoch:
            self.position = self.resume_at
        self.resume_at = None
        items_per_batch = batches.batch_size if isinstance(batches, BatchSampler) else 1
        sampler.start = self.position["batches"] * items_per_batch
        for batch in self._iterate():
            if isinstance(batch, DataError):
                raise batch
            self.position = Position(epoch=sampler.epoch, batches=self.position["batches"] + 1)
            yield batch

    def _iterate(self) -> Iterator[Any]:
        """Starts the workers if necessary.

        Raises:
            TaskError: the dataset contains something that cannot be sent to another process.
        """
        try:
            return super().__iter__()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            if "pickle" not in str(error):
                raise
            raise TaskError(
                f"The data cannot be sent to worker processes ({error}): define its functions at the top of a module, "
                "or set data.num_workers=0 or data.start_method=fork."
            ) from error

    def state_dict(self) -> Position:
        return self.position

    def load_state_dict(self, state: Position) -> None:
        self.resume_at = state
