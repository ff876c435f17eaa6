"""Batches of classification, in a module that worker processes import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .split import Sample


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
