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

from ..data import Data
from ..holdout import Holdout
from ..images import Image
from ..preprocessing import Preprocessing
from ..sampling import Key
from ..split import Broken
from .labelled import LabelledImages, split_off
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

    def __init__(self, split: LabelledImages, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> Item:
        index, seed, size = key
        preprocessing = self.preprocessing if size is None else replace(self.preprocessing, size=size)
        image = self.augmentation(self.split.image(index), preprocessing, np.random.default_rng(seed))
        return Item(image, int(self.split.labels[index]), index)


def collate(items: Sequence[Item]) -> ClassificationBatch:
    """Stacks items of one size into a batch."""
    images, labels, indices = zip(*items, strict=True)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return ClassificationBatch(stacked, torch.tensor(labels), torch.tensor(indices))


class ClassificationData(Data[LabelledImages]):
    """Data that :class:`ClassificationTask` trains and evaluates on; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images a step and process.
        workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training; None takes random crops and flips.
        broken: "raise" or "skip" pictures that cannot be read, see :class:`litmobile.tasks.data.Data`.
        seed: of the order and the augmentation; None takes the run's.
        sizes: sides of square inputs to train on in turn, with batches that keep the work a step level;
            ``batch_size`` is meant for ``preprocessing.size``. None trains at that size alone.
    """

    def __init__(
        self,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, workers, broken, seed, sizes)
        self.augmentation = augmentation or CropAugmentation()

    def arranged(self, split: LabelledImages) -> LabelledImages:
        return split.by_turns()

    def dataset(self, split: str, training: bool) -> ClassificationDataset:
        return ClassificationDataset(self.splits[split], self.input, self.augmentation if training else Resize())

    def collate(self, items: list[Any]) -> ClassificationBatch:
        return collate(items)


class HoldoutData(ClassificationData):
    """Data that validates on a share of training's images where there are no others for it.

    A data set implements :attr:`has_val` and :meth:`stored`.

    Args:
        val_share: share of every class that is split off.
        split_seed: what decides which images these are; the same for every run unless it is given.
        batch_size: see :class:`ClassificationData`, as for the rest.
        workers: processes that read and augment.
        augmentation: while training.
        broken: "raise" or "skip" pictures that cannot be read.
        seed: of the order and the augmentation.
        sizes: sides of square inputs to train on in turn.
    """

    def __init__(
        self,
        val_share: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, workers, augmentation, broken, seed, sizes)
        self.holdout = Holdout(val_share, split_seed, split_off)

    @property
    @abstractmethod
    def has_val(self) -> bool:
        """Whether there are images for validation alone."""

    @abstractmethod
    def stored(self, split: str) -> LabelledImages:
        """All that is stored as "train", "val" or "test"; "val" is asked for only where :attr:`has_val`.

        Raises:
            DataError: it is not there, or not what it should be.
        """

    def read(self, split: str) -> LabelledImages:
        if split == "test" or self.has_val:
            return self.stored(split)
        return self.holdout.part(split, lambda: self.stored("train"))
