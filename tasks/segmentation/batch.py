"""Batches of segmentation, in a module that worker processes import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .split import Sample, StoredMask


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
