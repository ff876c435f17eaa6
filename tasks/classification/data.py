"""Classification data: from folders of pictures to batches of uint8 images and classes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data import DataModule
from ..holdout import TrainValSplit
from ..images import Image
from ..preprocessing import Preprocessing
from ..sampling import SampleKey
from ..split import OnInvalid
from .split import ClassificationSplit, split_off
from .transforms import Augmentation, CropAugmentation, Resize


class ClassificationBatch(NamedTuple):
    """What a step works on.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: ``[N]`` int64, classes from 0.
        indices: ``[N]``, which images of the split these are.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor


class Item(NamedTuple):
    """The network's input ``[H, W, 3]`` uint8, its class, and which image of the split it is."""

    image: Image
    label: int
    number: int


class ClassificationDataset(Dataset[Item]):
    """Images of one split, augmented and laid into the network's input.

    All that is random about an item follows from its key's seed.
    """

    def __init__(self, split: ClassificationSplit, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: SampleKey) -> Item:
        index, seed, size = key
        preprocessing = self.preprocessing if size is None else replace(self.preprocessing, size=size)
        image = self.augmentation(self.split.image(index), preprocessing, np.random.default_rng(seed))
        return Item(image, int(self.split.labels[index]), index)


def collate(items: Sequence[Item]) -> ClassificationBatch:
    """Stacks items of one size into a batch."""
    images, labels, indices = zip(*items, strict=True)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return ClassificationBatch(stacked, torch.tensor(labels), torch.tensor(indices))


class ClassificationDataModule(DataModule[ClassificationSplit]):
    """Data that :class:`ClassificationTask` trains and evaluates on; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images a step and process.
        num_workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training; None takes random crops and flips.
        on_invalid: "raise" or "skip" pictures that cannot be read, see :class:`litmobile.tasks.data.DataModule`.
        seed: of the order and the augmentation; None takes the run's.
        train_sizes: sides of square inputs to train on in turn, with batches that keep the work a step level;
            ``batch_size`` is meant for ``preprocessing.size``. None trains at that size alone.
    """

    role = "classification"

    def __init__(
        self,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
        train_sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, on_invalid, seed, train_sizes)
        self.augmentation = augmentation or CropAugmentation()

    def evaluation_order(self, split: ClassificationSplit) -> ClassificationSplit:
        return split.by_turns()

    def dataset(self, split: str, training: bool) -> ClassificationDataset:
        return ClassificationDataset(self.splits[split], self.input, self.augmentation if training else Resize())

    def collate(self, items: list[Any]) -> ClassificationBatch:
        return collate(items)


class HoldoutClassification(ClassificationDataModule):
    """Data that validates on a share of training's images where there are no others for it.

    A data set implements :attr:`has_val` and :meth:`stored`.

    Args:
        val_fraction: share of every class that is split off.
        split_seed: what decides which images these are; the same for every run unless it is given.
        batch_size: see :class:`ClassificationDataModule`, as for the rest.
        num_workers: processes that read and augment.
        augmentation: while training.
        on_invalid: "raise" or "skip" pictures that cannot be read.
        seed: of the order and the augmentation.
        train_sizes: sides of square inputs to train on in turn.
    """

    def __init__(
        self,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
        train_sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, augmentation, on_invalid, seed, train_sizes)
        self.holdout = TrainValSplit(val_fraction, split_seed, split_off)

    @property
    @abstractmethod
    def has_val(self) -> bool:
        """Whether there are images for validation alone."""

    @abstractmethod
    def stored(self, split: str) -> ClassificationSplit:
        """All that is stored as "train", "val" or "test"; "val" is asked for only where :attr:`has_val`.

        Raises:
            DataError: it is not there, or not what it should be.
        """

    def read(self, split: str) -> ClassificationSplit:
        if split == "test" or self.has_val:
            return self.stored(split)
        return self.holdout.part(split, lambda: self.stored("train"))
