"""Losses of SSD: two ways to score classes against a sea of background, and the regression of boxes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class ClassificationLoss(ABC):
    """How class logits are trained and read.

    Targets are 0 for background and 1 … ``num_classes`` for objects, as in torchvision.
    """

    #: initial bias of the logits: background is what an untrained network should expect
    prior_bias: float = 0.0

    @abstractmethod
    def outputs(self, num_classes: int) -> int:
        """Logits an anchor."""

    @abstractmethod
    def scores(self, logits: Tensor) -> Tensor:
        """Logits ``[N, A, outputs]`` → probabilities of the foreground classes ``[N, A, num_classes]``."""

    @abstractmethod
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch of logits ``[N, A, outputs]`` against ``targets`` ``[N, A]``."""


class HardNegativeLoss(ClassificationLoss):
    """Softmax cross-entropy on all positives and the worst negatives, image by image (SSD, section 2.2).

    Args:
        negatives: how many negatives an image contributes for each of its positives.
    """

    def __init__(self, negatives: float = 3.0) -> None:
        self.negatives = negatives

    def outputs(self, num_classes: int) -> int:
        return num_classes + 1

    def scores(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)[..., 1:]

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        positive = targets > 0
        difficulty = loss.detach().masked_fill(positive, -math.inf)
        order = difficulty.argsort(dim=1, descending=True)
        places = torch.arange(targets.shape[1], device=targets.device).expand_as(order)
        rank = torch.empty_like(order).scatter_(1, order, places)
        negative = rank < self.negatives * positive.sum(1, keepdim=True)
        return torch.where(positive | negative, loss, 0.0).sum()


class FocalLoss(ClassificationLoss):
    """Sigmoid focal loss over every anchor (arXiv 1708.02002), as TensorFlow trains SSDLite on MobileNetV3.

    Args:
        alpha: weight of positives; negatives weigh 1 − ``alpha``.
        gamma: how much easy examples are played down.
    """

    prior_bias = -math.log((1 - 0.01) / 0.01)  # section 4.1: objects start at a probability of 0.01

    def __init__(self, alpha: float = 0.75, gamma: float = 2.0) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def outputs(self, num_classes: int) -> int:
        return num_classes

    def scores(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
        truth = (targets.unsqueeze(-1) == classes).to(logits.dtype)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        miss = (truth - logits.sigmoid()).abs()  # 1 − p of what is true
        weight = self.alpha * truth + (1 - self.alpha) * (1 - truth)
        return (weight * miss**self.gamma * cross_entropy).sum()


class SSDLoss(NamedTuple):
    """The two terms, both sums over the batch divided by its number of matched anchors."""

    classification: Tensor
    boxes: Tensor


def ssd_loss(
    logits: Tensor, offsets: Tensor, classes: Tensor, wanted: Tensor, classification: ClassificationLoss
) -> SSDLoss:
    """Losses of a batch.

    Args:
        logits: ``[N, A, outputs]``.
        offsets: predicted ``[N, A, 4]``.
        classes: ``[N, A]``, 0 for background, 1 … ``num_classes`` for matched anchors.
        wanted: encoded objects ``[N, A, 4]``; rows of background anchors are not looked at.
        classification: how to score the classes.
    """
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    distance = F.smooth_l1_loss(offsets, wanted, reduction="none").sum(-1)
    return SSDLoss(classification(logits, classes) / count, torch.where(positive, distance, 0.0).sum() / count)
