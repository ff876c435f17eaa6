"""Batches of detection, in a module that worker processes import."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...heads.predictions import BoxTargets
from .split import Sample

# the number of boxes of a batch is padded to a multiple of this, so that few different shapes occur
BOXES_MULTIPLE = 16


class DetectionBatch(NamedTuple):
    """A batch of images and their objects.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: boxes in pixels of ``images``, and class indices.
        indices: ``[N]``, indices of the images in the split.
    """

    images: Tensor
    targets: BoxTargets
    indices: Tensor


def collate(items: Sequence[tuple[Sample, int]]) -> DetectionBatch:
    """Stacks samples of one size, each paired with its index, into a batch."""
    samples = [sample for sample, _ in items]
    max_boxes = max(len(sample.labels) for sample in samples)
    rows = BOXES_MULTIPLE * max(1, math.ceil(max_boxes / BOXES_MULTIPLE))
    boxes: NDArray[np.float32] = np.zeros((len(samples), rows, 4), dtype=np.float32)
    labels: NDArray[np.int64] = np.full((len(samples), rows), -1, dtype=np.int64)
    for row, sample in enumerate(samples):
        boxes[row, : len(sample.boxes)] = sample.boxes
        labels[row, : len(sample.labels)] = sample.labels
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    targets = BoxTargets(torch.from_numpy(boxes), torch.from_numpy(labels))
    return DetectionBatch(images, targets, torch.tensor([index for _, index in items]))
