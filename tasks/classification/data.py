"""The data module of classification: batches of uint8 images and class indices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.module import DataModule
from ..data.split import TrainValSplit
from .split import ClassificationSplit, Sample
from .transforms import Augmentation, CropAugmentation, Resize


class ClassificationBatch(NamedTuple):
    """Images and their classes, as a training step takes them.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: ``[N]`` int64 class indices.
        indices: ``[N]`` indices of the images in the split.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor


def collate(items: Sequence[tuple[Sample, int]]) -> ClassificationBatch:
    """Stacks samples of one size into a batch."""
    samples, indices = zip(*items, strict=True)
    images, labels = zip(*samples, strict=True)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return ClassificationBatch(stacked, torch.tensor(labels), torch.tensor(indices))


class ClassificationDataModule(DataModule[ClassificationSplit]):
    """Data for :class:`ClassificationTask`; a data set of your own implements :meth:`read`.

    Args:
        augmentation: augmentation of training images, e.g. ``ShiftAugmentation`` for images of 32×32 pixels. Default:
            random crops and flips.
    """

    role = "classification"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.augmentation = augmentation or CropAugmentation()


class HoldoutClassification(ClassificationDataModule):
    """Data that sets part of the training images aside for validation if it has no validation images.

    A data set implements :attr:`has_val` and :meth:`read_stored`.

    Args:
        val_fraction: fraction of every class that is taken from training for validation, e.g. 0.1.
        split_seed: seed that selects these images, e.g. 1 for another selection. It does not depend on ``seed``.
    """

    def __init__(self, *, val_fraction: float = 0.1, split_seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.holdout = TrainValSplit[ClassificationSplit](val_fraction, split_seed, self.verify_images)

    @property
    @abstractmethod
    def has_val(self) -> bool:
        """Whether the data set contains validation images."""

    @abstractmethod
    def read_stored(self, split: str) -> ClassificationSplit:
        """Reads "train", "val" or "test" as stored; "val" is requested only if :attr:`has_val`.

        Raises:
            DataError: the split is missing or invalid.
        """

    def read(self, split: str) -> ClassificationSplit:
        if split == "test" or self.has_val:
            return self.read_stored(split)
        return self.holdout.part(split, lambda: self.read_stored("train"))
