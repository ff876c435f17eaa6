"""Losses of segmentation: cross-entropy with class weights and hard example mining, Dice and Lovász-Softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, TaskError, UserError, check_range
from ...heads.contract import full_precision
from ...heads.predictions import IGNORED

Frequency = Literal["median_frequency", "log_frequency"]
FREQUENCY_RULES: tuple[Frequency, ...] = get_args(Frequency)


class PixelLoss:
    """Cross-entropy over labelled pixels, with optional Dice and Lovász terms.

    Each term is a mean, and 0 if no pixel is labelled.

    Args:
        class_weights: weight of each class, in the order of the classes, e.g. [1, 2, 1]; or a rule that computes them
            from the training masks. "median_frequency": the median of all frequencies divided by that of the class. The
            frequency is the class's share of the labelled pixels in images that contain it (arXiv 1411.4734, section
            6.3.2). "log_frequency": 1 / ln(1.02 + share of all labelled pixels) (ENet, arXiv 1606.02147, section 5.2).
            None gives all classes the weight 1.
        label_smoothing: share of the target probability that is spread evenly over all classes, e.g. 0.1.
        ohem_threshold: online hard example mining (arXiv 1604.03540): pixels whose true class has a greater
            probability do not count, e.g. 0.7; None counts all pixels.
        ohem_min_kept: smallest share of the labelled pixels of a batch that counts with ``ohem_threshold``.
        dice: weight of the Dice loss: 1 − the mean Dice coefficient of the classes in the batch, e.g. 1
            (arXiv 1606.04797, without its squares).
        lovasz: weight of the Lovász-Softmax loss of the classes in the batch, e.g. 1 (arXiv 1705.08790, section 3).
            It is slow because it sorts all pixels for every class.

    Raises:
        UserError: a value is out of range.
    """

    def __init__(
        self,
        class_weights: list[float] | Frequency | None = None,
        label_smoothing: float = 0.0,
        ohem_threshold: float | None = None,
        ohem_min_kept: float = 1 / 16,
        dice: float = 0.0,
        lovasz: float = 0.0,
    ) -> None:
        if isinstance(class_weights, str) and class_weights not in FREQUENCY_RULES:
            raise UserError(f"class_weights must be numbers, {' or '.join(FREQUENCY_RULES)}, not {class_weights!r}.")
        if isinstance(class_weights, list) and not (
            any(class_weights) and all(0 <= w < math.inf for w in class_weights)
        ):
            raise UserError(f"class_weights must be finite, at least 0 and not all 0, not {class_weights}.")
        check_range("label_smoothing", label_smoothing, ge=0, lt=1)
        if ohem_threshold is not None:
            check_range("ohem_threshold", ohem_threshold, gt=0, le=1)
        check_range("ohem_min_kept", ohem_min_kept, gt=0, le=1)
        check_range("dice", dice, ge=0, lt=math.inf)
        check_range("lovasz", lovasz, ge=0, lt=math.inf)
        self.class_weights: list[float] | Frequency | None = class_weights
        self.label_smoothing = label_smoothing
        self.ohem_threshold = ohem_threshold
        self.ohem_min_kept = ohem_min_kept
        self.dice = dice
        self.lovasz = lovasz
        self.weights: Tensor | None = None

    @property
    def needs_pixels(self) -> bool:
        """Whether :meth:`prepare` needs the number of pixels of each class."""
        return isinstance(self.class_weights, str)

    def prepare(self, classes: Sequence[str], device: torch.device, pixels: NDArray[np.int64] | None = None) -> None:
        """Computes the weights of the classes.

        Args:
            classes: names of the classes.
            device: device of the logits.
            pixels: ``[I, C]`` number of pixels of each class in each training image; required if :attr:`needs_pixels`.

        Raises:
            DataError: no training pixel has a class.
            TaskError: the number of weights is not the number of classes.
        """
        if isinstance(self.class_weights, str):
            assert pixels is not None
            if not pixels.any():
                raise DataError(f"No training pixel has a class, so {self.class_weights} cannot weight the classes.")
            self.weights = frequency_weights(self.class_weights, pixels).to(device)
        elif self.class_weights is not None:
            if len(self.class_weights) != len(classes):
                raise TaskError(
                    f"loss.class_weights has {len(self.class_weights)} numbers, but there are {len(classes)} classes: "
                    f"{', '.join(classes)}."
                )
            self.weights = torch.tensor(self.class_weights, dtype=torch.float32, device=device)

    def __call__(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Computes scalar terms by name from logits ``[N, C, H, W]`` and labels ``[N, H, W]``, 255 if ignored."""
        logits, labels = full_precision(output), targets.long()
        terms = {"cross_entropy": self._cross_entropy(logits, labels)}
        if self.dice or self.lovasz:
            probabilities, truth, labelled = flatten_pixels(logits, labels)
            if self.dice:
                terms["dice"] = self.dice * dice_loss(probabilities, truth)
            if self.lovasz:
                terms["lovasz"] = self.lovasz * lovasz_loss(probabilities, truth, labelled)
        return terms

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the mean over the pixels that count, weighted by class."""
        class_weights = None if self.weights is None else self.weights.to(logits.dtype)
        reduction = "sum" if self.ohem_threshold is None else "none"
        smoothing = self.label_smoothing
        losses = F.cross_entropy(
            logits, labels, class_weights, ignore_index=IGNORED, reduction=reduction, label_smoothing=smoothing
        )
        weights = (labels != IGNORED).to(logits.dtype)
        if class_weights is not None:
            weights = weights * class_weights[labels.clamp(max=len(class_weights) - 1)]
        if self.ohem_threshold is not None:
            is_hard = self._find_hard_pixels(logits.detach(), labels)
            losses, weights = (losses * is_hard).sum(), weights * is_hard
        total = weights.sum()
        counts = total > 0  # if no pixel counts, the sum may still hold what smoothing gave to other classes
        return losses.where(counts, 0) / total.where(counts, 1)

    def _find_hard_pixels(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns ``[N, H, W]`` 1 for pixels that count in hard example mining, 0 for the others."""
        assert self.ohem_threshold is not None
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        # ignored pixels have the loss 0 and come last; the number stays on the device, so that nothing waits for it
        kept = ((labels != IGNORED).sum() * self.ohem_min_kept).ceil().long().clamp(min=1)
        min_loss = losses.flatten().sort(descending=True).values[kept - 1]
        return (losses >= min_loss.clamp(max=-math.log(self.ohem_threshold))).to(logits.dtype)


def frequency_weights(rule: Frequency, pixels: NDArray[np.int64]) -> Tensor:
    """Computes class weights ``[C]`` by ``rule``; 0 for absent classes.

    Args:
        rule: see :class:`PixelLoss`.
        pixels: ``[I, C]`` number of pixels of each class in each image.
    """
    class_pixels = pixels.sum(0)
    present = class_pixels > 0
    if rule == "median_frequency":
        frequencies = class_pixels[present] / (pixels.sum(1, keepdims=True) * (pixels > 0)).sum(0)[present]
        present_weights = np.median(frequencies) / frequencies
    else:
        present_weights = 1 / np.log(1.02 + class_pixels[present] / class_pixels.sum())
    weights = np.zeros(len(present))
    weights[present] = present_weights
    return torch.tensor(weights, dtype=torch.float32)


def flatten_pixels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the inputs of :func:`dice_loss` and :func:`lovasz_loss`.

    Returns:
        Probabilities ``[C, P]`` and one-hot truth ``[C, P]``, both 0 for ignored pixels; whether pixels are labelled
        ``[P]``.
    """
    num_classes = logits.shape[1]
    is_labelled = (labels != IGNORED).flatten()
    probabilities = logits.softmax(1).transpose(0, 1).flatten(1) * is_labelled
    indices = labels.flatten().clamp(max=num_classes - 1)
    truth = torch.zeros_like(probabilities).scatter_(0, indices[None], is_labelled.to(logits.dtype)[None])
    return probabilities, truth, is_labelled


def mean_over_present(losses: Tensor, truth: Tensor) -> Tensor:
    """Returns the mean of ``losses`` ``[C]`` over the classes in ``truth`` ``[C, P]``; 0 without classes."""
    is_present = truth.amax(1)
    return (losses * is_present).sum() / is_present.sum().clamp(min=1)


def dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """Computes 1 − the mean Dice coefficient; see :func:`flatten_pixels` for the arguments."""
    overlap = 2 * (probabilities * truth).sum(1)
    return mean_over_present(1 - overlap / (probabilities.sum(1) + truth.sum(1)).clamp(min=1), truth)


def lovasz_loss(probabilities: Tensor, truth: Tensor, is_labelled: Tensor) -> Tensor:
    """Computes Lovász-Softmax over all pixels of the batch; see :func:`flatten_pixels` for the arguments."""
    errors, order = (truth - probabilities).abs().sort(dim=1, descending=True)
    sorted_truth = truth.gather(1, order)
    count = truth.sum(1, keepdim=True)
    # Jaccard loss if the first k pixels are wrong; ignored pixels have error 0 and change none of these sums
    missed = sorted_truth.cumsum(1)
    false_positives = (is_labelled.to(truth.dtype)[order] - sorted_truth).cumsum(1)
    # increase per pixel, in closed form: differences of neighbours near 1 would lose half of float32's digits
    intersection, union = count - missed, count + false_positives
    steps = torch.where(sorted_truth > 0, 1 / union.clamp(min=1), intersection / (union * (union - 1)).clamp(min=1))
    return mean_over_present((errors * steps).sum(1), truth)
