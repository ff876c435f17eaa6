"""What the data modules of all tasks share: splits, seeds, samplers and loaders that go on where a run stopped."""

from __future__ import annotations

import gc
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypedDict, TypeVar

import cv2
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader, Dataset

from ..errors import DataError, ImageError, UserError
from .broken import drop_invalid_images
from .multi_scale import MultiScaleBatches
from .preprocessing import Preprocessing
from .sampling import ShardSampler, ShuffledSampler
from .split import OnInvalid, Split

MOST_NOTES = 10  # that are printed one by one


S = TypeVar("S", bound=Split)


class DataModule(LightningDataModule, ABC, Generic[S]):
    """Reads splits when a run needs them and gives batches of them, the same whatever the number of workers.

    Args:
        batch_size: images a step and process.
        num_workers: processes that read and augment; 0 reads in the training process.
        on_invalid: "raise" stops at the first picture that cannot be read or has another size than its annotations say;
            "skip" reads all pictures before training begins, names those and leaves them out.
        seed: of the order and the augmentation; None takes the run's.
        train_sizes: sides of square inputs to train on in turn, with batches that keep the work a step level;
            ``batch_size`` is meant for ``preprocessing.size``. None trains at that size alone.

    Attributes:
        preprocessing: how images become the input; None takes that of the network which the trainer trains.
        splits: what has been read, by "train", "val" and "test".
    """

    def __init__(
        self,
        batch_size: int,
        num_workers: int,
        on_invalid: OnInvalid,
        seed: int | None,
        train_sizes: list[int] | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, not {batch_size}.")
        if num_workers < 0:
            raise UserError(f"num_workers must be 0 or more, not {num_workers}.")
        if on_invalid not in ("raise", "skip"):
            raise UserError(f"on_invalid must be raise or skip, not {on_invalid!r}.")
        if train_sizes is not None and (not train_sizes or min(train_sizes) < 32):
            raise UserError(f"train_sizes must be sides of at least 32 pixels each, not {train_sizes}.")
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.on_invalid: OnInvalid = on_invalid
        self.seed = seed
        self.train_sizes = train_sizes
        self.preprocessing: Preprocessing | None = None
        self.splits: dict[str, S] = {}

    @abstractmethod
    def read(self, split: str) -> S:
        """Annotations of "train", "val" or "test".

        Raises:
            DataError: they are not there, or not what they should be.
        """

    @abstractmethod
    def dataset(self, split: str, training: bool) -> Dataset[Any]:
        """Samples of ``split``, augmented for ``training``; asked for by a :class:`.sampling.SampleKey`."""

    @abstractmethod
    def collate(self, items: list[Any]) -> Any:
        """Makes a batch of samples."""

    def check(self) -> None:
        """Raises DataError where the splits contradict each other."""
        first, *others = self.splits.values()
        for other in others:
            if other.classes != first.classes:
                raise DataError(f"{first.source} and {other.source} have different categories.")

    def setup(self, stage: str) -> None:
        """Reads and checks the annotations that ``stage`` needs."""
        for split in {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}.get(stage, ()):
            if split not in self.splits:
                self.splits[split] = self.read(split)
                tell(self.splits[split].notes)
                if self.on_invalid == "skip":
                    self.splits[split], faults = drop_invalid_images(self.splits[split])
                    tell(faults)
                if split != "train":
                    self.splits[split] = self.evaluation_order(self.splits[split])
        if self.splits:
            self.check()

    def evaluation_order(self, split: S) -> S:
        """``split`` in the order in which it is evaluated; a run draws the first batch of it."""
        return split

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, once ``setup`` has run."""
        return next(iter(self.splits.values())).classes

    def image_name(self, split: str, index: int) -> str:
        """File of an image, for messages."""
        return str(self.splits[split].path(index))

    @property
    def input(self) -> Preprocessing:
        """How images become the network's input."""
        if self.preprocessing is not None:
            return self.preprocessing
        return Preprocessing() if self.trainer is None else self.trainer.lightning_module.preprocessing  # pyright: ignore[reportReturnType] — a Task's

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        # where a batch is on the CPU already, looking through it for tensors to move is time for nothing
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def train_dataloader(self) -> DataLoader[Any]:
        seed = torch.initial_seed() if self.seed is None else self.seed
        images, (rank, world) = len(self.splits["train"]), self._rank_and_world("train")
        if self.train_sizes is not None:
            squares = [(side, side) for side in self.train_sizes]
            batches = MultiScaleBatches(images, seed, squares, self.input.size, self.batch_size, rank, world)
            return self._loader("train", batches)
        sampler = ShuffledSampler(images, seed, rank, world)
        return self._loader("train", sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val", ShardSampler(len(self.splits["val"]), *self._rank_and_world("val")))

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test", ShardSampler(len(self.splits["test"]), *self._rank_and_world("test")))

    def _rank_and_world(self, split: str) -> tuple[int, int]:
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if len(self.splits[split]) < world:
            raise DataError(f"{world} processes cannot share the {len(self.splits[split])} images of {split}.")
        return rank, world

    def _loader(
        self, split: str, sampler: ShuffledSampler | ShardSampler | MultiScaleBatches, drop_last: bool = False
    ) -> ResumableLoader:
        if isinstance(sampler, MultiScaleBatches):
            batches: dict[str, Any] = {"batch_sampler": sampler}
        else:
            batches = {"batch_size": self.batch_size, "sampler": sampler, "drop_last": drop_last}
        return ResumableLoader(
            self.dataset(split, training=split == "train"),
            **batches,
            num_workers=self.num_workers,
            collate_fn=self.collate,
            worker_init_fn=start_worker,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # a generator of its own: starting an epoch draws from it, which must not move the network's dropout
            generator=torch.Generator(),
        )


class Position(TypedDict):
    """How far a run has come: ``batches`` of epoch ``epoch`` are done."""

    epoch: int
    batches: int


class ResumableLoader(DataLoader[Any]):
    """A loader whose position goes into checkpoints, and that goes on from there.

    Lightning asks for ``state_dict``, calls ``load_state_dict`` when a run is resumed, and sets the sampler's epoch
    before the first batch is drawn.
    """

    position: Position = Position(epoch=0, batches=0)
    resume_at: Position | None = None

    def __iter__(self) -> Iterator[Any]:  # pyright: ignore[reportIncompatibleMethodOverride] — narrower than needed
        sampler = self.batch_sampler if isinstance(self.batch_sampler, MultiScaleBatches) else self.sampler
        assert isinstance(sampler, ShuffledSampler | ShardSampler | MultiScaleBatches)
        self.position = Position(epoch=sampler.epoch, batches=0)
        if self.resume_at is not None and self.resume_at["epoch"] == sampler.epoch:
            self.position = self.resume_at
        self.resume_at = None
        # a sampler of batches counts those; the loader has no batch_size then
        sampler.start = self.position["batches"] * (self.batch_size or 1)
        try:
            for batch in super().__iter__():
                self.position = Position(epoch=sampler.epoch, batches=self.position["batches"] + 1)
                yield batch
        except (DataError, ImageError) as error:
            raise type(error)(worker_message(error)) from error

    def state_dict(self) -> Position:
        return self.position

    def load_state_dict(self, state: Position) -> None:
        self.resume_at = state


def worker_message(error: Exception) -> str:
    """The message of ``error``, which a loader raises with a worker's whole traceback before it."""
    message = str(error)
    if not message.startswith("Caught "):
        return message
    return message.rstrip().rpartition("\n")[2].partition(": ")[2]


def start_worker(_: int) -> None:
    """Workers are many already: OpenCV must not start threads in each. Signals are the main process's to answer."""
    cv2.setNumThreads(0)
    gc.freeze()  # looking through the parent's objects for garbage would copy, page by page, what is shared with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on a Mac, where a SIGTERM for the whole job ends the workers
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=obey_parent, daemon=True).start()


def obey_parent() -> None:
    """Ends a worker when its own parent tells it to; a SIGTERM that a whole job gets is the parent's to answer."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def tell(notes: tuple[str, ...]) -> None:
    """Prints what was mended or left out, the first ones by name."""
    for note in notes[:MOST_NOTES]:
        rank_zero_info(note)
    if len(notes) > MOST_NOTES:
        rank_zero_info(f"… and {len(notes) - MOST_NOTES} more of this kind: litmobile inspect names them all.")
