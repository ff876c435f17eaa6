"""SSD's losses: two classification losses for mostly background anchors, and box regression."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class HardNegativeLoss:
    """Softmax cross-entropy on all positives and the hardest negatives of each image (SSD, section 2.2).

    Targets are 0 for background and 1 … ``num_classes`` for objects, as in torchvision.

    Args:
        neg_pos_ratio: number of negatives per positive.
    """

    #: initial bias of the logits, so that an untrained network predicts background
    prior_bias = 0.0

    def __init__(self, neg_pos_ratio: float = 3.0) -> None:
        self.neg_pos_ratio = neg_pos_ratio

    def outputs(self, num_classes: int) -> int:
        """Returns the number of logits per anchor."""
        return num_classes + 1

    def scores(self, logits: Tensor) -> Tensor:
        """Turns logits ``[N, A, outputs]`` into probabilities of the foreground classes ``[N, A, num_classes]``."""
        return logits.softmax(-1)[..., 1:]

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss of logits ``[N, A, outputs]`` for ``targets`` ``[N, A]``, summed over the batch."""
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        positive = targets > 0
        difficulty = loss.detach().masked_fill(positive, -math.inf)
        order = difficulty.argsort(dim=1, descending=True)
        positions = torch.arange(targets.shape[1], device=targets.device).expand_as(order)
        rank = torch.empty_like(order).scatter_(1, order, positions)
        negative = rank < self.neg_pos_ratio * positive.sum(1, keepdim=True)
        return torch.where(positive | negative, loss, 0.0).sum()


class FocalLoss:
    """Sigmoid focal loss over all anchors (arXiv 1708.02002), as TensorFlow trains SSDLite on MobileNetV3.

    Its methods are those of :class:`HardNegativeLoss`.

    Args:
        alpha: weight of positives; negatives weigh 1 − ``alpha``.
        gamma: focusing exponent; a larger one reduces the weight of easy examples.
    """

    prior_bias = -math.log((1 - 0.01) / 0.01)  # section 4.1: objects start at a probability of 0.01

    def __init__(self, alpha: float = 0.75, gamma: float = 2.0) -> None:
        self.alpha = alpha
        self.gamma = gamma

    def outputs(self, num_classes: int) -> int:
        """See :meth:`HardNegativeLoss.outputs`."""
        return num_classes

    def scores(self, logits: Tensor) -> Tensor:
        """See :meth:`HardNegativeLoss.scores`."""
        return logits.sigmoid()

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """See :meth:`HardNegativeLoss.__call__`."""
        classes = torch.arange(1, logits.shape[-1] + 1, device=logits.device)
        truth = (targets.unsqueeze(-1) == classes).to(logits.dtype)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        error = (truth - logits.sigmoid()).abs()  # 1 − probability of the true class
        weight = self.alpha * truth + (1 - self.alpha) * (1 - truth)
        return (weight * error**self.gamma * cross_entropy).sum()


ClassificationLoss = HardNegativeLoss | FocalLoss


def ssd_loss(
    logits: Tensor, offsets: Tensor, classes: Tensor, target_offsets: Tensor, classification: ClassificationLoss
) -> dict[str, Tensor]:
    """Computes two loss terms, "classification" and "boxes", divided by the number of matched anchors of the batch.

    Args:
        logits: ``[N, A, outputs]``.
        offsets: predicted ``[N, A, 4]``.
        classes: ``[N, A]``, 0 for background, 1 … ``num_classes`` for matched anchors.
        target_offsets: encoded objects ``[N, A, 4]``; rows of background anchors are ignored.
        classification: the classification loss.
    """
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    regression = F.smooth_l1_loss(offsets, target_offsets, reduction="none").sum(-1)
    boxes = torch.where(positive, regression, 0.0).sum()
    return {"classification": classification(logits, classes) / count, "boxes": boxes / count}
