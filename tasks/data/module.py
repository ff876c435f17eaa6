"""Base class of all data modules: reads splits, seeds samples and builds resumable loaders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, cast

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import BatchSampler, DataLoader, Sampler

from ...backbones.contract import check_choice
from ...errors import DataError, TaskError, UserError, check_range, format_count
from ...heads.contract import default_class_names
from ..preprocessing import Preprocessing
from .files import format_list
from .fingerprint import Fingerprint, describe_changes, take_fingerprint
from .loader import ResumableLoader, collate_or_return_error
from .sampling import MultiScaleBatches, SampleKey, ShardSampler, ShuffledSampler
from .shares import TrainingShare
from .split import OnInvalid, S, SplitDataset, Transform, drop_invalid_images, note_shared_images
from .start_methods import StartMethod, check_start_method
from .workers import set_up_worker

MAX_NOTES = 10  # more are only counted
STAGES = {"fit": ("train", "val"), "train": ("train",), "validate": ("val",), "test": ("test",)}


class DataModule(LightningDataModule, ABC, Generic[S]):
    """Reads splits when a run needs them and yields the same batches with any number of workers.

    Each task has a subclass that sets the class attributes. Each data set has a subclass of that one, which implements
    :meth:`read`. A batch has ``images``, ``targets`` and ``indices``.

    Args:
        batch_size: images per batch, in each process.
        num_workers: processes that read and augment; 0 reads in the training process.
        start_method: how these processes start. Default: in ``litmobile``, "forkserver", or "spawn" on Windows; in a
            program of your own, that of Python's ``multiprocessing``. "fork" can hang, see :mod:`.start_methods`.
        on_invalid: "raise" stops if an image or annotation file cannot be used. "skip" lists the invalid ones and
            leaves them out.
        verify_images: whether all images are decoded before training, so that damaged ones are found early. This takes
            about 3 s for 1,000 photos on a CPU core at the first start; later starts only verify files that changed.
            False suits huge data without damage; ``on_invalid="skip"`` verifies in any case. False also lets
            near-duplicates into both parts where validation images are drawn.
        seed: seed for shuffling and augmentation. Default: that of the run.
        train_sizes: input sizes to alternate between in training, as sides of squares or as [height, width], e.g.
            ``[256, 320, 384]``. Smaller inputs get larger batches, so that all steps cost about the same;
            ``batch_size`` holds at ``preprocessing.size``. None trains at that size only.
        train_share: share of the training images to train on, e.g. 0.1, to learn what more labels would bring. Classes
            keep their proportions and at least one image. The images of 0.1 are among those of 0.25.
        share_seed: seed that selects the images of ``train_share`` and ``val_from_train``, e.g. 1 for others. It does
            not depend on ``seed``.
        val_from_train: fraction of the training images to validate on instead of the data set's own validation images,
            e.g. 0.2, to choose options without them. They are set aside before ``train_share`` is taken.

    Raises:
        UserError: an option is out of range.

    Attributes:
        preprocessing: if set, replaces the preprocessing of the network in training.
        splits: the splits read so far; keys are "train", "val" and "test".
    """

    #: kind of task, e.g. "detection"
    role: ClassVar[str]
    #: transform of val and test samples
    evaluation_transform: ClassVar[Transform]
    #: collates a list of (sample, index) pairs into a batch
    collate: ClassVar[Callable[[list[Any]], Any]]
    #: augmentation of training samples
    augmentation: Transform

    def __init__(
        self,
        *,
        batch_size: int = 32,
        num_workers: int = 4,
        start_method: StartMethod | None = None,
        on_invalid: OnInvalid = "raise",
        verify_images: bool = True,
        seed: int | None = None,
        train_sizes: list[int | tuple[int, int]] | None = None,
        train_share: float = 1.0,
        share_seed: int = 0,
        val_from_train: float | None = None,
    ) -> None:
        super().__init__()
        check_range("batch_size", batch_size, ge=1)
        check_range("num_workers", num_workers, ge=0)
        if start_method is not None:
            check_start_method(start_method)
        check_choice("on_invalid", on_invalid, ("raise", "skip"))
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.start_method = start_method
        self.on_invalid: OnInvalid = on_invalid
        self.verify_images = verify_images
        self.seed = seed
        self.train_sizes = None if train_sizes is None else parse_sizes(train_sizes)
        self._share = TrainingShare[S](train_share, val_from_train, share_seed, verify_images)
        self.preprocessing: Preprocessing | None = None
        self.splits: dict[str, S] = {}
        self._fingerprints: dict[str, Fingerprint] = {}

    @abstractmethod
    def read(self, split: str) -> S:
        """Returns the split "train", "val" or "test": paths, annotations and class names; images are read later.

        Raises:
            DataError: the split is missing or invalid.
        """

    def check_splits(self) -> None:
        """Raises DataError if the splits contradict each other."""
        first, *others = self.splits.values()
        for other in others:
            if other.classes != first.classes:
                raise DataError(f"{first.source} and {other.source} have different classes.")

    def setup(self, stage: str) -> None:
        """Reads and checks the splits that ``stage`` needs: a stage of Lightning, or "train" for no other split."""
        for split in STAGES.get(stage, ()):
            if split not in self.splits:
                self.splits[split] = self._share.read(split, self.read_checked)
        if self.splits:
            self.check_splits()
            log_notes(note_shared_images(self.splits))

    def read_checked(self, name: str) -> S:
        """Returns the split ``name`` as it is trained or evaluated on: without invalid images, in its final order."""
        split = self.read(name)
        log_notes(split.notes)
        if self.verify_images or self.on_invalid == "skip":
            split, notes = drop_invalid_images(split, self.on_invalid)
            log_notes(notes)
        return split if name == "train" else split.in_evaluation_order()

    def fingerprints(self) -> dict[str, Fingerprint]:
        """Returns the fingerprint of each split that was read; each is computed once."""
        for name in self.splits.keys() - self._fingerprints.keys():
            self._fingerprints[name] = take_fingerprint(self.splits[name])
        return self._fingerprints

    def log_changes(self, before: Mapping[str, Fingerprint]) -> None:
        """Prints a line for each split that differs from its fingerprint in a checkpoint."""
        for name, fingerprint in self.fingerprints().items():
            if name in before and (changes := describe_changes(before[name], fingerprint)):
                rank_zero_info(f"The {name} split has changed since the checkpoint was written: {changes}.")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, once ``setup`` has run."""
        return next(iter(self.splits.values())).classes

    @property
    def input_preprocessing(self) -> Preprocessing:
        """How images become the network's input."""
        if self.preprocessing is not None:
            return self.preprocessing
        return getattr(getattr(self.trainer, "lightning_module", None), "preprocessing", Preprocessing())

    def dataset(self, split: str, augments: bool = True) -> SplitDataset:
        """Returns the dataset of ``split``, indexed with :class:`.sampling.SampleKey`.

        Args:
            split: "train", "val" or "test".
            augments: whether training samples are augmented; others never are.
        """
        transform = self.augmentation if split == "train" and augments else type(self).evaluation_transform
        return SplitDataset(self.splits[split], self.input_preprocessing, transform)

    def train_dataloader(self) -> DataLoader[Any]:
        seed = torch.initial_seed() if self.seed is None else self.seed
        images, (rank, world) = len(self.splits["train"]), self._rank_and_world("train")
        if self.train_sizes is not None:
            size = self.input_preprocessing.size
            batches = MultiScaleBatches(images, seed, self.train_sizes, size, self.batch_size, rank, world)
            batches.repeats = self._is_overfitting
            return self._loader(self.dataset("train"), batches)
        sampler = ShuffledSampler(images, seed, rank, world)
        sampler.repeats = self._is_overfitting
        batches = self._batches(sampler, drop_last=len(sampler) >= self.batch_size)
        return self._loader(self.dataset("train"), batches)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.evaluation_dataloader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self.evaluation_dataloader("test")

    def evaluation_dataloader(self, split: str) -> DataLoader[Any]:
        """Yields every image of a split that was read once, in order and without augmentation, also of "train"."""
        sampler = ShardSampler(len(self.splits[split]), *self._rank_and_world(split))
        return self._loader(self.dataset(split, augments=False), self._batches(sampler))

    def _batches(self, sampler: Sampler[SampleKey], drop_last: bool = False) -> BatchSampler:
        return BatchSampler(cast(Sampler[int], sampler), self.batch_size, drop_last)  # its declared type is too narrow

    @property
    def _is_overfitting(self) -> bool:
        return getattr(self.trainer, "overfit_batches", 0) > 0

    def _rank_and_world(self, split: str) -> tuple[int, int]:
        rank, world = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        if len(self.splits[split]) < world:
            counted = format_count(len(self.splits[split]), "images")
            raise DataError(f"{split} has only {counted} for {world} processes: use fewer.")
        return rank, world

    def _loader(self, dataset: SplitDataset, batches: BatchSampler | MultiScaleBatches) -> ResumableLoader:
        return ResumableLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            multiprocessing_context=self.start_method if self.num_workers else None,
            collate_fn=partial(collate_or_return_error, type(self).collate),
            worker_init_fn=set_up_worker,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            # the loader draws a number each epoch; from the global generator, it would change the dropout masks
            generator=torch.Generator(),
        )


def parse_sizes(sizes: Sequence[int | tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns ``sizes``, sides of squares or (height, width), as (height, width).

    Raises:
        UserError: there is none, or one is below 32 pixels.
    """
    pairs = [(size, size) if isinstance(size, int) else size for size in sizes]
    if not pairs or min(map(min, pairs)) < 32:
        raise UserError(f"train_sizes must be sizes of at least 32 pixels each, not {list(sizes)}.")
    return pairs


def resolve_class_names(names: tuple[str, ...] | None, num_classes: int | None) -> tuple[str, ...]:
    """Returns the ``names`` of the data's classes, or default names without data.

    Raises:
        TaskError: ``num_classes`` is required, or contradicts the data.
    """
    if names is None:
        if num_classes is None:
            raise TaskError("Pass classes=[…] or num_classes, because no data module names the classes.")
        return default_class_names(num_classes)
    if num_classes not in (None, len(names)):
        counted = format_count(len(names), "classes")
        raise TaskError(f"num_classes is {num_classes}, but the data has {counted}: {format_list(names)}.")
    return names


def log_notes(notes: tuple[str, ...]) -> None:
    """Prints the first notes about repaired or skipped data, and the number of further notes."""
    for note in notes[:MAX_NOTES]:
        rank_zero_info(note)
    if len(notes) > MAX_NOTES:
        rank_zero_info(f"… and {len(notes) - MAX_NOTES} more notes of this kind; litmobile inspect prints them all.")
