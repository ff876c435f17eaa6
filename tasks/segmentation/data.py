"""The data module of segmentation: batches of uint8 images and label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...errors import UserError
from ..data.module import DataModule
from .split import Sample, SegmentationSplit, StoredMask, check_some_images
from .transforms import Augmentation, Resize, ScaleCropAugmentation


class SegmentationBatch(NamedTuple):
    """Images of one step and their labels.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: ``[N, H, W]`` uint8 class indices, 255 for ignored pixels.
        indices: ``[N]`` indices of the images in the split.
        truths: in evaluations, the mask of each image at its stored size; in training, empty.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor
    truths: tuple[StoredMask, ...] = ()


def collate(items: Sequence[tuple[Sample, int]]) -> SegmentationBatch:
    """Stacks samples of one size into a batch."""
    samples, indices = zip(*items, strict=True)
    return SegmentationBatch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        targets=torch.from_numpy(np.stack([sample.labels for sample in samples])),
        indices=torch.tensor(indices),
        truths=tuple(sample.truth for sample in samples if sample.truth is not None),
    )


class SegmentationDataModule(DataModule[SegmentationSplit]):
    """Data for :class:`SegmentationTask`; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images per step and process, e.g. 16.
        augmentation: augmentation of training images. Default: ``ScaleCropAugmentation()``, random crops at half to
            twice the size, and flips.

    Raises:
        UserError: ``train_sizes`` is given, but ``augmentation.crop`` fixes the size.
    """

    role = "segmentation"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, batch_size: int = 16, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)
        self.augmentation = augmentation or ScaleCropAugmentation()
        if self.train_sizes is not None and getattr(self.augmentation, "crop", None) is not None:
            raise UserError("augmentation.crop fixes the size that train_sizes changes; set only one of them.")

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for split in self.splits.values():
            check_some_images(split)
