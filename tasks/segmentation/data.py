"""Segmentation data: from images and masks to batches of uint8 images and label maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...heads.predictions import ResizeGeometry
from ..data import DataModule
from .split import Sample, SegmentationSplit, check_some
from .transforms import Augmentation, Resize, ScaleCropAugmentation


class Truth(NamedTuple):
    """What an evaluation compares with: a mask at the size it is stored in.

    Attributes:
        labels: ``[h, w]`` uint8 class indices, 255 for ignored pixels.
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


def collate(items: Sequence[tuple[Sample, int]]) -> SegmentationBatch:
    """Stacks samples of one size into a batch."""
    samples, indices = zip(*items, strict=True)
    return SegmentationBatch(
        images=torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2),
        targets=torch.from_numpy(np.stack([sample.labels for sample in samples])),
        indices=torch.tensor(indices),
        truths=tuple(
            Truth(torch.from_numpy(sample.truth.labels), sample.truth.geometry)
            for sample in samples
            if sample.truth is not None
        ),
    )


class SegmentationDataModule(DataModule[SegmentationSplit]):
    """Data for :class:`SegmentationTask`; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images per step and process.
        augmentation: augmentation of training images; None takes crops at half to twice the size, and flips.
    """

    role = "segmentation"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, batch_size: int = 16, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)
        self.augmentation = augmentation or ScaleCropAugmentation()

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for split in self.splits.values():
            check_some(split)
