"""What a segmentation training minimises: cross-entropy, weighted or of the hardest pixels, Dice and Lovász."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, TaskError, UserError
from ...heads.contract import full_precision
from ...heads.predictions import IGNORED

Frequency = Literal["median_frequency", "log_frequency"]


class PixelLoss:
    """Cross-entropy over labelled pixels, and terms beside it; each is a mean, and 0 where no pixel is labelled.

    Args:
        class_weights: factors of the pixels of each class, in the classes' order; or from how frequent they are in
            training: "median_frequency", the median of all frequencies by a class's, which is its share of the labelled
            pixels of those images that show it (Eigen and Fergus, arXiv 1411.4734, section 6.3.2), or "log_frequency",
            1 / ln(1.02 + its share of all labelled pixels) (ENet, arXiv 1606.02147, section 5.2). None weighs all
            alike.
        label_smoothing: share of the truth that is spread evenly over all classes.
        ohem_threshold: online hard example mining (arXiv 1604.03540): pixels whose true class has a greater probability do
            not count, such as 0.7; None takes all.
        ohem_min_kept: share of the labelled pixels of a batch that count at least.
        dice: factor of 1 − the mean Dice coefficient of the classes that a batch shows (arXiv 1606.04797, without its
            squares).
        lovasz: factor of the Lovász-Softmax loss of those classes over a batch (arXiv 1705.08790, section 3). It sorts
            all pixels for every class.

    Raises:
        ValueError: a value is out of its range.
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
        if isinstance(class_weights, str) and class_weights not in get_args(Frequency):
            raise UserError(
                f"class_weights must be numbers, {' or '.join(get_args(Frequency))}, not {class_weights!r}."
            )
        if isinstance(class_weights, list) and not (
            any(class_weights) and all(0 <= w < math.inf for w in class_weights)
        ):
            raise UserError(f"class_weights must be 0 or more, and one of them above it, not {class_weights}.")
        if not 0 <= label_smoothing < 1:
            raise UserError(f"label_smoothing must be in 0 … 1, 1 not included, not {label_smoothing}.")
        if ohem_threshold is not None and not 0 < ohem_threshold <= 1:
            raise UserError(f"hardest must be a probability in 0 … 1, 0 not included, not {ohem_threshold}.")
        if not 0 < ohem_min_kept <= 1:
            raise UserError(f"ohem_min_kept must be a share in 0 … 1, 0 not included, not {ohem_min_kept}.")
        for name, factor in (("dice", dice), ("lovasz", lovasz)):
            if not 0 <= factor < math.inf:
                raise UserError(f"{name} must be 0 or more, not {factor}.")
        self.class_weights: list[float] | Frequency | None = class_weights
        self.label_smoothing = label_smoothing
        self.ohem_threshold = ohem_threshold
        self.ohem_min_kept = ohem_min_kept
        self.dice = dice
        self.lovasz = lovasz
        self.weights: Tensor | None = None

    @property
    def needs_pixels(self) -> bool:
        """Whether :meth:`prepare` has to be told how many pixels each class has."""
        return isinstance(self.class_weights, str)

    def prepare(self, classes: Sequence[str], device: torch.device, pixels: NDArray[np.int64] | None = None) -> None:
        """Finds the weights of the classes.

        Args:
            classes: their names.
            device: of the logits.
            pixels: ``[I, C]`` of the images of training, where :attr:`needs_pixels`.

        Raises:
            DataError: no pixel of training has a class.
            TaskError: there are not as many weights as classes.
        """
        if self.class_weights is None:
            return
        if isinstance(self.class_weights, str):
            assert pixels is not None
            if not pixels.any():
                raise DataError(f"No pixel of training has a class: {self.class_weights} weighs nothing.")
            self.weights = frequency_weights(self.class_weights, pixels).to(device)
            return
        if len(self.class_weights) != len(classes):
            raise TaskError(
                f"loss.class_weights has {len(self.class_weights)} numbers, but there are {len(classes)} classes: "
                f"{', '.join(classes)}."
            )
        self.weights = torch.tensor(self.class_weights, dtype=torch.float32, device=device)

    def __call__(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Named scalar terms of logits ``[N, C, H, W]`` and labels ``[N, H, W]``, whole numbers, 255 for none."""
        logits, labels = full_precision(output), targets.long()
        terms = {"cross_entropy": self._cross_entropy(logits, labels)}
        if self.dice or self.lovasz:
            probabilities, truth, labelled = flattened(logits, labels)
            if self.dice:
                terms["dice"] = self.dice * dice_loss(probabilities, truth)
            if self.lovasz:
                terms["lovasz"] = self.lovasz * lovasz_loss(probabilities, truth, labelled)
        return terms

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over the pixels that count, each as much as its class weighs."""
        of_classes = None if self.weights is None else self.weights.to(logits.dtype)
        each = F.cross_entropy(
            logits,
            labels,
            of_classes,
            ignore_index=IGNORED,
            reduction="none" if self.ohem_threshold is not None else "sum",
            label_smoothing=self.label_smoothing,
        )
        weights = (labels != IGNORED).to(logits.dtype)
        if of_classes is not None:
            weights = weights * of_classes[labels.clamp(max=len(of_classes) - 1)]
        if self.ohem_threshold is not None:
            hard = self._hard(logits.detach(), labels)
            each, weights = (each * hard).sum(), weights * hard
        total = weights.sum()
        counts = total > 0  # where nothing does, the sum may still hold what smoothing gave to other classes
        return each.where(counts, 0) / total.where(counts, 1)

    def _hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        """1 for the pixels ``[N, H, W]`` that count, 0 for the others."""
        assert self.ohem_threshold is not None
        surprise = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")
        # unlabelled pixels have no surprise and come last; the number stays on its device, which nobody waits for
        kept = ((labels != IGNORED).sum() * self.ohem_min_kept).ceil().long().clamp(min=1)
        least = surprise.flatten().sort(descending=True).values[kept - 1]
        return (surprise >= least.clamp(max=-math.log(self.ohem_threshold))).to(logits.dtype)


def frequency_weights(rule: Frequency, pixels: NDArray[np.int64]) -> Tensor:
    """Weights ``[C]`` of classes with so many ``pixels`` ``[I, C]`` in each image; 0 for those with none."""
    of_class = pixels.sum(0)
    there = of_class > 0
    if rule == "median_frequency":
        frequencies = of_class[there] / (pixels.sum(1, keepdims=True) * (pixels > 0)).sum(0)[there]
        found = np.median(frequencies) / frequencies
    else:
        found = 1 / np.log(1.02 + of_class[there] / of_class.sum())
    weights = np.zeros(len(there))
    weights[there] = found
    return torch.tensor(weights, dtype=torch.float32)


def flattened(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities ``[C, P]`` and truth ``[C, P]``, 0 or 1, both 0 for unlabelled pixels; and which are labelled."""
    classes = logits.shape[1]
    labelled = (labels != IGNORED).flatten()
    probabilities = logits.softmax(1).transpose(0, 1).flatten(1) * labelled
    known = labels.flatten().clamp(max=classes - 1)
    truth = torch.zeros_like(probabilities).scatter_(0, known[None], labelled.to(logits.dtype)[None])
    return probabilities, truth, labelled


def mean_of_shown(losses: Tensor, truth: Tensor) -> Tensor:
    """The mean of ``losses`` ``[C]`` over the classes that ``truth`` ``[C, P]`` shows; 0 where there are none."""
    shown = truth.amax(1)
    return (losses * shown).sum() / shown.sum().clamp(min=1)


def dice_loss(probabilities: Tensor, truth: Tensor) -> Tensor:
    """1 − the mean Dice coefficient; arguments as :func:`flattened` gives them."""
    both = 2 * (probabilities * truth).sum(1)
    return mean_of_shown(1 - both / (probabilities.sum(1) + truth.sum(1)).clamp(min=1), truth)


def lovasz_loss(probabilities: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
    """Lovász-Softmax over all pixels together; arguments as :func:`flattened` gives them."""
    errors, order = (truth - probabilities).abs().sort(dim=1, descending=True)
    found = truth.gather(1, order)
    count = truth.sum(1, keepdim=True)
    # the Jaccard loss of the first k pixels being wrong; unlabelled ones have no error and change no sum before them
    missed = found.cumsum(1)
    others = (labelled.to(truth.dtype)[order] - found).cumsum(1)
    # how much each pixel adds to it, written out: differences of neighbours near 1 would lose half of float32's digits
    both, either = count - missed, count + others
    steps = torch.where(found > 0, 1 / either.clamp(min=1), both / (either * (either - 1)).clamp(min=1))
    return mean_of_shown((errors * steps).sum(1), truth)
