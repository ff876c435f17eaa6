"""SSD's losses: three classification losses for mostly background anchors, and box regression.

All of them take one logit for the background, and then one for each class, as torchvision and TensorFlow do.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

LossName = Literal["softmax", "sigmoid", "focal"]


class ClassificationLoss(ABC):
    """Compares logits with the classes of the anchors; scores are sigmoids of the logits."""

    #: initial bias of the logits
    prior_bias: ClassVar[float] = 0.0

    @abstractmethod
    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss summed over the batch.

        Args:
            logits: ``[N, A, num_classes + 1]``.
            targets: ``[N, A]``, 0 for background, 1 … ``num_classes`` for objects.
        """

    def scores(self, logits: Tensor) -> Tensor:
        """Turns logits ``[…, num_classes + 1]`` into probabilities of the foreground classes ``[…, num_classes]``."""
        return logits[..., 1:].sigmoid()

    def bound_log_odds(self, logits: Tensor) -> Tensor:
        """Returns ``[…]``, no less than the log odds of the best foreground class, faster than all scores."""
        return logits[..., 1:].amax(-1)


class HardNegativeLoss(ClassificationLoss):
    """Cross-entropy on all positives and the hardest negatives of each image (SSD, section 2.2).

    Args:
        neg_pos_ratio: number of negatives per positive.
        min_negatives: minimum number of negatives of an image, which also applies to images without objects.
    """

    def __init__(self, neg_pos_ratio: float = 3.0, min_negatives: int = 0) -> None:
        self.neg_pos_ratio = neg_pos_ratio
        self.min_negatives = min_negatives

    @abstractmethod
    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the cross-entropy of every anchor, ``[N, A]``."""

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        loss = self.cross_entropy(logits, targets)
        positive = targets > 0
        difficulty = loss.detach().masked_fill(positive, -math.inf)
        order = difficulty.argsort(dim=1, descending=True)
        positions = torch.arange(targets.shape[1], device=targets.device).expand_as(order)
        rank = torch.empty_like(order).scatter_(1, order, positions)
        negatives = (self.neg_pos_ratio * positive.sum(1, keepdim=True)).clamp(min=self.min_negatives)
        return torch.where(positive | (rank < negatives), loss, 0.0).sum()


class SoftmaxLoss(HardNegativeLoss):
    """:class:`HardNegativeLoss` of the softmax over background and classes, as in SSD and torchvision."""

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)

    def scores(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)[..., 1:]

    def bound_log_odds(self, logits: Tensor) -> Tensor:
        return super().bound_log_odds(logits) - logits[..., 0]  # the odds against the background alone


class SigmoidLoss(HardNegativeLoss):
    """:class:`HardNegativeLoss` with one sigmoid per output, as TensorFlow trains SSDLite on MobileNetV1 and V2.

    The cross-entropy of an anchor is summed over the outputs. The background's output is trained as well, but no score
    depends on it.
    """

    def cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        truth = F.one_hot(targets, logits.shape[-1]).to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(-1)


class FocalLoss(ClassificationLoss):
    """Sigmoid focal loss over all anchors (arXiv 1708.02002), as TensorFlow trains SSDLite on MobileNetV3.

    The target of the background's output is always 0, and no score depends on it. It exists because the published
    parameters include it.

    Args:
        alpha: weight of positives; negatives weigh 1 − ``alpha``.
        gamma: focusing exponent; a larger one reduces the weight of easy examples.
    """

    prior_bias = -math.log((1 - 0.01) / 0.01)  # section 4.1: objects start at a probability of 0.01

    def __init__(self, alpha: float = 0.75, gamma: float = 2.0) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = torch.arange(logits.shape[-1], device=logits.device)
        truth = ((targets.unsqueeze(-1) == classes) & (classes > 0)).to(logits.dtype)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        error = (truth - logits.sigmoid()).abs()  # 1 − probability of the true class
        weight = self.alpha * truth + (1 - self.alpha) * (1 - truth)
        return (weight * error**self.gamma * cross_entropy).sum()


def ssd_loss(
    logits: Tensor,
    offsets: Tensor,
    classes: Tensor,
    target_offsets: Tensor,
    classification: ClassificationLoss,
    box_loss_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Computes two loss terms, "classification" and "boxes", divided by the number of matched anchors of the batch.

    Args:
        logits: ``[N, A, num_classes + 1]``.
        offsets: predicted ``[N, A, 4]``.
        classes: ``[N, A]``, 0 for background, 1 … ``num_classes`` for matched anchors.
        target_offsets: encoded objects ``[N, A, 4]``; rows of background anchors are ignored.
        classification: the classification loss.
        box_loss_weight: factor of the box loss, which is the sum over the four offsets.
    """
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    regression = F.smooth_l1_loss(offsets, target_offsets, reduction="none").sum(-1)
    boxes = box_loss_weight * torch.where(positive, regression, 0.0).sum()
    return {"classification": classification(logits, classes) / count, "boxes": boxes / count}
