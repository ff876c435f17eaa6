"""Segmentation data: from images and masks to batches of uint8 images and label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...heads.predictions import ResizeGeometry
from ..data import DataModule
from ..preprocessing import Preprocessing
from ..sampling import SampleKey
from ..split import OnInvalid
from .split import Masked, SegmentationSplit, check_some
from .transforms import Augmentation, Resize, ScaleCropAugmentation


class Truth(NamedTuple):
    """What an evaluation compares with: a mask as it is stored.

    Attributes:
        labels: ``[h, w]`` uint8, classes from 0, 255 for none.
        geometry: where the image lies in the network's input.
    """

    labels: Tensor
    geometry: ResizeGeometry


class SegmentationBatch(NamedTuple):
    """What a step works on.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: ``[N, H, W]`` uint8, classes from 0, 255 for none.
        indices: ``[N]``, which images of the split these are.
        truths: in evaluations, what each prediction is compared with.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor
    truths: tuple[Truth, ...] = ()


class Item(NamedTuple):
    """What a step takes of an image, which image of the split it is, and in evaluations the truth about it."""

    shown: Masked
    number: int
    truth: Truth | None


class SegmentationDataset(Dataset[Item]):
    """Images of one split with their labels, augmented and laid into the network's input.

    All that is random about an item follows from its key's seed.

    Args:
        split: the images.
        preprocessing: how they become the input.
        augmentation: while training; None evaluates.
    """

    def __init__(
        self, split: SegmentationSplit, preprocessing: Preprocessing, augmentation: Augmentation | None
    ) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: SampleKey) -> Item:
        sample, random = self.split.masked(key.image), np.random.default_rng(key.seed)
        if self.augmentation is not None:
            return Item(self.augmentation(sample, self.preprocessing, random), key.image, None)
        truth = Truth(torch.from_numpy(sample.labels), self.preprocessing.geometry(*sample.labels.shape))
        return Item(Resize()(sample, self.preprocessing, random), key.image, truth)


def collate(items: Sequence[Item]) -> SegmentationBatch:
    """Stacks items of one size into a batch."""
    return SegmentationBatch(
        images=torch.from_numpy(np.stack([item.shown.image for item in items])).permute(0, 3, 1, 2),
        targets=torch.from_numpy(np.stack([item.shown.labels for item in items])),
        indices=torch.tensor([item.number for item in items]),
        truths=tuple(item.truth for item in items if item.truth is not None),
    )


class SegmentationDataModule(DataModule[SegmentationSplit]):
    """Data that :class:`SegmentationTask` trains and evaluates on; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images a step and process.
        num_workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training; None takes crops at half to twice the size and flips.
        on_invalid: "raise" or "skip" pictures and masks that cannot be used, see :class:`litmobile.tasks.data.DataModule`.
        seed: of the order and the augmentation; None takes the run's.
    """

    role = "segmentation"

    def __init__(
        self,
        batch_size: int = 16,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, on_invalid, seed)
        self.augmentation = augmentation or ScaleCropAugmentation()

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for split in self.splits.values():
            check_some(split)

    def evaluation_order(self, split: SegmentationSplit) -> SegmentationSplit:
        return split.spread()

    def dataset(self, split: str, training: bool) -> SegmentationDataset:
        return SegmentationDataset(self.splits[split], self.input, self.augmentation if training else None)

    def collate(self, items: list[Any]) -> SegmentationBatch:
        return collate(items)
