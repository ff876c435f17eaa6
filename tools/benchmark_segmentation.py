"""Segmentation's share of the benchmark: counting pixels, against torchmetrics."""

from __future__ import annotations

import torch
from torch import Tensor

from ..heads.predictions import IGNORED
from ..tasks.segmentation.metrics import SegmentationEvaluator
from .benchmark_sides import Setting, Side, Step

CLASSES = 19
SIZE = (1024, 2048)
BLOCK = 64  # pixels of a side of what is of one class, as masks have it


def label_maps(setting: Setting) -> tuple[Tensor, Tensor]:
    """Predictions int64 and truths uint8, ``[N, H, W]``: a tenth is mistaken, a twelfth has no class."""
    generator = torch.Generator().manual_seed(0)
    shape = (setting.batch, *SIZE)
    blocks = torch.randint(CLASSES, (setting.batch, SIZE[0] // BLOCK, SIZE[1] // BLOCK), generator=generator)
    truth = blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)
    mistaken = torch.rand(shape, generator=generator) < 1 / 10
    predicted = torch.where(mistaken, torch.randint(CLASSES, shape, generator=generator), truth)
    truth[torch.rand(shape, generator=generator) < 1 / 12] = IGNORED
    return predicted.to(setting.device), truth.to(torch.uint8).to(setting.device)


def confusion_ours(setting: Setting) -> Step:
    """The confusion matrix as an evaluation counts it, image by image; masks are bytes."""
    predicted, truth = label_maps(setting)
    evaluator = SegmentationEvaluator([str(k) for k in range(CLASSES)], setting.device)

    def count() -> Tensor:
        for said, true in zip(predicted, truth, strict=True):
            evaluator.add(said, true)
        return evaluator.matrix

    return count


def confusion_torchmetrics(setting: Setting) -> Step:
    """The same by torchmetrics with its defaults, given masks of eight bytes a pixel, as its documentation has them."""
    from torchmetrics.classification import MulticlassJaccardIndex

    predicted, truth = label_maps(setting)
    truth = truth.long()
    metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORED).to(setting.device)

    def count() -> Tensor:
        for said, true in zip(predicted, truth, strict=True):
            metric.update(said, true)
        return metric.confmat  # pyright: ignore[reportReturnType] — a state that the metric adds under this name

    return count


SEGMENTATION: dict[str, tuple[Side, Side]] = {"confusion": (confusion_ours, confusion_torchmetrics)}
