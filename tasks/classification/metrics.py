"""Accuracy, the confusion matrix and calibration, from counts that add up over batches and processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from ..drawing import confusion_table, format_figure
from ..network import is_distributed

TOP = 5
BINS = 15  # of confidence, as in arXiv 1706.04599
LINES = 20  # classes that a table to read has at most


@dataclass(frozen=True)
class ClassificationResult:
    """Figures of one evaluation, 0 … 1.

    Attributes:
        images: how many were evaluated.
        top1: share of the images whose class has the greatest score.
        top5: share whose class is among the five greatest; None where there are five classes or fewer.
        mean_recall: mean over classes of the share of their images that were recognised; classes without images do not
            count.
        calibration_error: expected difference of confidence and accuracy over 15 bins of equal width (Guo et al. 2017,
            arXiv 1706.04599, equation 3).
        classes: names.
        matrix: ``[C, C]`` images by class, down, and prediction, across.
    """

    images: int
    top1: float
    top5: float | None
    mean_recall: float
    calibration_error: float
    classes: tuple[str, ...]
    matrix: NDArray[np.int64]

    @property
    def figures(self) -> dict[str, float | None]:
        """The figures by name."""
        return {
            "top1": self.top1,
            "top5": self.top5,
            "mean_recall": self.mean_recall,
            "calibration_error": self.calibration_error,
        }

    def per_class(self) -> dict[str, dict[str, float | int | None]]:
        """Of every class: images, recall, and precision; None for what no image says anything about."""
        right, there, said = self.matrix.diagonal(), self.matrix.sum(1), self.matrix.sum(0)
        return {
            name: {
                "images": int(there[k]),
                "recall": float(right[k] / there[k]) if there[k] else None,
                "precision": float(right[k] / said[k]) if said[k] else None,
            }
            for k, name in enumerate(self.classes)
        }

    def confusions(self) -> list[tuple[str, str, int]]:
        """What was taken for what and how often, the most frequent first."""
        wrong = self.matrix - np.diag(self.matrix.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [(self.classes[i], self.classes[j], int(wrong[i, j])) for i, j in pairs]

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {"images": self.images, "figures": self.figures, "per_class": self.per_class()}

    def confusion_table(self) -> list[list[object]]:
        """The confusion matrix as rows of a table with names."""
        return confusion_table(self.matrix, self.classes)

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.classes, *self.figures))
        lines = [f"{name:<{width}}  {format_figure(value)}" for name, value in self.figures.items()]
        lines += ["", f"{'':<{width}}  recall  precision  images"]
        rows = sorted(self.per_class().items(), key=lambda row: -1.0 if row[1]["recall"] is None else row[1]["recall"])
        if len(rows) > LINES:
            lines[-1] += f"  (the {LINES} of {len(rows)} classes that are recognised worst)"
        for name, row in rows[:LINES]:
            recall, precision = format_figure(row["recall"]), format_figure(row["precision"])
            lines.append(f"{name:<{width}}  {recall:>6}  {precision:>9}  {row['images']:>6}")
        worst = self.confusions()[:5]
        if worst:
            lines += ["", "most often confused"]
            lines += [f"{count:>6} × {truth} taken for {taken}" for truth, taken, count in worst]
        return "\n".join(lines)


class ClassificationEvaluator:
    """Counts predictions batch by batch; what it keeps does not grow with the number of images.

    Args:
        classes: names of the classes.
        device: where the counts are kept.
    """

    def __init__(self, classes: Sequence[str], device: torch.device | str = "cpu") -> None:
        self.classes = tuple(classes)
        count = len(self.classes)
        self.matrix = torch.zeros(count * count, dtype=torch.int64, device=device)
        self.near = torch.zeros((), dtype=torch.int64, device=device)  # images whose class is among the top five
        # images, right ones and the sum of confidence of each bin; doubles count exactly, and confidence well enough
        self.bins = torch.zeros(3, BINS, dtype=torch.float64, device=device)
        self._result: ClassificationResult | None = None

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Takes a batch.

        Args:
            scores: ``[N, C]`` in 0 … 1.
            labels: ``[N]`` classes from 0.
        """
        self._result = None
        best = scores.topk(min(TOP, len(self.classes)), dim=1)
        predicted, confidence = best.indices[:, 0], best.values[:, 0].double()
        right = predicted == labels
        self.matrix.index_add_(0, labels * len(self.classes) + predicted, torch.ones_like(labels))
        self.near += (best.indices == labels[:, None]).any(1).sum()
        # a bin holds its upper bound, as in the paper
        bins = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        values = torch.stack((torch.ones_like(confidence), right.double(), confidence))
        self.bins.index_add_(1, bins, values)

    def compute(self) -> ClassificationResult:
        """The figures over all images of all processes; the result is kept."""
        if self._result is None:
            self._result = self._compute()
        return self._result

    def _compute(self) -> ClassificationResult:
        matrix, near, bins = self.matrix.clone(), self.near.clone(), self.bins.clone()
        if is_distributed():
            for counts in (matrix, near, bins):
                distributed.all_reduce(counts)
        table = matrix.view(len(self.classes), -1).cpu().numpy()
        images, there = int(table.sum()), table.sum(1)
        recalls = table.diagonal()[there > 0] / there[there > 0]
        number, right, confidence = bins.cpu().numpy()
        return ClassificationResult(
            images=images,
            top1=float(table.trace() / max(1, images)),
            top5=float(near.item() / max(1, images)) if len(self.classes) > TOP else None,
            mean_recall=float(recalls.mean()) if len(recalls) else 0.0,
            calibration_error=float(np.abs(right - confidence).sum() / max(1, number.sum())),
            classes=self.classes,
            matrix=table,
        )
