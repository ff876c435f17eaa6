"""Accuracy and confusion matrix from torchmetrics; mean recall and calibration error computed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from ..drawing import format_figure
from ..network import gather_by_image
from .evidence import BINS, TOP, ClassificationEvidence

MAX_LINES = 20  # classes in a table as text


@dataclass(frozen=True)
class ClassificationResult:
    """Result of one evaluation.

    Attributes:
        figures: figures in 0 … 1 by name. ``top1`` and ``top5`` are the fractions of images whose class has the highest
            score, or one of the five highest; ``top5`` is None for five classes or fewer. ``mean_recall`` is the mean
            over the classes that have images. ``calibration_error`` is the expected calibration error over 15 bins of
            equal width (Guo et al. 2017, arXiv 1706.04599, equation 3).
        classes: names.
        matrix: confusion matrix ``[C, C]``: number of images by class (row) and prediction (column).
    """

    figures: dict[str, float | None]
    classes: tuple[str, ...]
    matrix: NDArray[np.int64]

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.matrix.sum())

    def per_class(self) -> dict[str, dict[str, float | int | None]]:
        """Returns images, recall and precision of each class; None without images to compute them from."""
        correct, images, predicted = self.matrix.diagonal(), self.matrix.sum(1), self.matrix.sum(0)
        return {
            name: {
                "images": int(images[k]),
                "recall": float(correct[k] / images[k]) if images[k] else None,
                "precision": float(correct[k] / predicted[k]) if predicted[k] else None,
            }
            for k, name in enumerate(self.classes)
        }

    def confusions(self) -> list[tuple[str, str, int]]:
        """Returns class, wrong prediction and number of images, the most frequent first."""
        wrong = self.matrix - np.diag(self.matrix.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in pairs]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values for a JSON file."""
        return {"images": self.images, "figures": self.figures, "per_class": self.per_class()}

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.classes, *self.figures))
        lines = [f"{name:<{width}}  {format_figure(value)}" for name, value in self.figures.items()]
        lines += ["", f"{'':<{width}}  recall  precision  images"]
        rows = sorted(self.per_class().items(), key=lambda row: -1.0 if row[1]["recall"] is None else row[1]["recall"])
        if len(rows) > MAX_LINES:
            lines[-1] += f"  (the {MAX_LINES} of {len(rows)} classes with the lowest recall)"
        for name, row in rows[:MAX_LINES]:
            recall, precision = format_figure(row["recall"]), format_figure(row["precision"])
            lines.append(f"{name:<{width}}  {recall:>6}  {precision:>9}  {row['images']:>6}")
        worst = self.confusions()[:5]
        if worst:
            lines += ["", "most frequent confusions"]
            lines += [f"{count:>6} × {truth} predicted as {predicted}" for truth, predicted, count in worst]
        return "\n".join(lines)


class CalibrationError(Metric):
    """Expected calibration error over bins of equal width; unlike torchmetrics', it does not store every score."""

    bins: Tensor

    def __init__(self) -> None:
        super().__init__()
        # number of images, of correct ones, and sum of confidences per bin; doubles count exactly
        self.add_state("bins", torch.zeros(3, BINS, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, confidence: Tensor, is_correct: Tensor) -> None:
        """Adds a batch of confidences ``[N]``, 0 … 1, and whether the predictions were correct, ``[N]``."""
        confidence = confidence.double()
        # a bin contains its upper bound, as in the paper
        bins = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        self.bins.index_add_(1, bins, torch.stack((torch.ones_like(confidence), is_correct.double(), confidence)))

    def compute(self) -> Tensor:
        """Sum over bins of the difference between correct images and confidence, divided by the number of images."""
        images, correct, confidence = self.bins
        return (correct - confidence).abs().sum() / images.sum().clamp(min=1)


class KeptImage(NamedTuple):
    """Scores ``[C]``, the best classes ``[min(5, C)]`` and the class of an image."""

    scores: NDArray[np.float32]
    ranking: NDArray[np.int32]
    label: int


class ClassificationEvaluator:
    """Counts predictions batch by batch, and keeps the scores of each image.

    Args:
        classes: names of the classes.
        device: where the counts are kept.
    """

    def __init__(self, classes: Sequence[str], device: torch.device | str = "cpu") -> None:
        self.classes = tuple(classes)
        options: dict[str, Any] = {"num_classes": len(self.classes), "validate_args": False}
        self.matrix = MulticlassConfusionMatrix(**options).to(device)
        # in double precision, since float32 rounds the quotient
        self.top1 = MulticlassAccuracy(average="micro", **options).set_dtype(torch.float64).to(device)
        self.top5 = MulticlassAccuracy(average="micro", top_k=TOP, **options).set_dtype(torch.float64).to(device)
        self.calibration_error = CalibrationError().to(device)
        self._kept: dict[int, KeptImage] = {}
        self._result: ClassificationResult | None = None

    def add(self, scores: Tensor, labels: Tensor, images: Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            scores: ``[N, C]`` in 0 … 1.
            labels: ``[N]`` class indices.
            images: ``[N]`` indices of the images in the split. Default: the images leave no evidence.
        """
        self._result = None
        best = scores.topk(min(TOP, len(self.classes)))  # breaks ties as the top five do
        confidence, predicted = best.values[:, 0], best.indices[:, 0]
        self.matrix.update(predicted, labels)
        self.top1.update(predicted, labels)
        if len(self.classes) > TOP:
            self.top5.update(scores, labels)
        self.calibration_error.update(confidence, predicted == labels)
        if images is not None:
            columns = scores.float().cpu().numpy(), best.indices.int().cpu().numpy(), labels.tolist()
            self._kept |= zip(images.tolist(), map(KeptImage, *columns), strict=True)

    def compute(self) -> ClassificationResult:
        """Returns the figures over all images of all processes, and keeps them until the next :meth:`add`."""
        if self._result is None:
            matrix = self.matrix.compute().cpu().numpy()
            images = matrix.sum(1)
            recalls = matrix.diagonal()[images > 0] / images[images > 0]
            figures = {
                "top1": self.top1.compute().item(),
                "top5": self.top5.compute().item() if len(self.classes) > TOP else None,
                "mean_recall": float(recalls.mean()) if len(recalls) else 0.0,
                "calibration_error": self.calibration_error.compute().item(),
            }
            self._result = ClassificationResult(figures, self.classes, matrix)
        return self._result

    def evidence(self, names: NDArray[np.str_]) -> ClassificationEvidence | None:
        """Returns the scores of all images of all processes, which must all call it; None without images.

        Args:
            names: file names of the images of the split.
        """
        kept = gather_by_image(self._kept)
        if not kept:
            return None
        scores, ranking, labels = zip(*kept.values(), strict=True)
        return ClassificationEvidence(
            classes=self.classes,
            names=tuple(names[list(kept)].tolist()),
            scores=np.stack(scores),
            ranking=np.stack(ranking),
            labels=np.array(labels, dtype=np.int32),
        )
