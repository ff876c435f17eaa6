"""IoU and accuracy from one table of counts over a whole set, as the Cityscapes benchmark computes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from ...heads.predictions import IGNORED
from ..drawing import confusion_table, format_figure
from ..network import is_distributed

EXACT = 2**24  # pixels that OpenCV, which counts in float32, can count without rounding


@dataclass(frozen=True)
class SegmentationResult:
    """Figures of one evaluation, 0 … 1.

    A class that is nowhere, neither in the masks nor in the predictions, has no IoU and does not count. One that is
    only predicted has an IoU of 0, as with the Cityscapes benchmark.

    Attributes:
        classes: names.
        matrix: ``[C, C]`` pixels by class, down, and prediction, across; those that count as no class are left out.
    """

    classes: tuple[str, ...]
    matrix: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of every class ``[C]``; NaN for what is nowhere."""
        right = self.matrix.diagonal()
        return shares(right, self.matrix.sum(0) + self.matrix.sum(1) - right)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of every class's pixels that were recognised ``[C]``; NaN for classes that no mask holds."""
        return shares(self.matrix.diagonal(), self.matrix.sum(1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the pixels taken for a class that are of it ``[C]``; NaN for classes that are nowhere predicted."""
        return shares(self.matrix.diagonal(), self.matrix.sum(0))

    @property
    def figures(self) -> dict[str, float]:
        """The figures by name: means over classes, and the share of all labelled pixels that are right."""
        pixels = int(self.matrix.sum())
        return {
            "miou": mean(self.iou),
            "pixel_accuracy": float(self.matrix.trace() / pixels) if pixels else float("nan"),
            "mean_recall": mean(self.recall),
        }

    def per_class(self) -> dict[str, dict[str, float | int | None]]:
        """Of every class: IoU, recall, precision, labelled pixels; None for what no pixel says anything about."""
        pixels, said = self.matrix.sum(1), self.matrix.sum(0)
        return {
            name: {
                "iou": known(self.iou[k]),
                "recall": known(self.recall[k]),
                "precision": known(self.precision[k]),
                "pixels": int(pixels[k]),
                "predicted_pixels": int(said[k]),
            }
            for k, name in enumerate(self.classes)
        }

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        figures = {name: known(value) for name, value in self.figures.items()}
        return {"pixels": int(self.matrix.sum()), "figures": figures, "per_class": self.per_class()}

    def confusion_table(self) -> list[list[object]]:
        """The table of counts as rows with names."""
        return confusion_table(self.matrix, self.classes)

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.classes, *self.figures))
        lines = [f"{name:<{width}}  {format_figure(known(value))}" for name, value in self.figures.items()]
        lines += ["", f"{'':<{width}}     IoU  recall  precision       pixels"]
        for name, row in self.per_class().items():
            absent = "  absent" if row["iou"] is None else "  in no mask" if not row["pixels"] else ""
            iou, recall, precision = (format_figure(row[key]) for key in ("iou", "recall", "precision"))
            lines.append(f"{name:<{width}}  {iou:>6}  {recall:>6}  {precision:>9}  {row['pixels']:>11}{absent}")
        return "\n".join(lines)


def shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """``part`` of ``whole``, NaN of nothing."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def mean(values: NDArray[np.float64]) -> float:
    """The mean of those ``values`` that there are; NaN where there are none."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def known(value: float) -> float | None:
    """A plain number, None for NaN."""
    return None if np.isnan(value) else float(value)


class SegmentationEvaluator:
    """Counts pixels by class and prediction; what it keeps does not grow with the number of images.

    Args:
        classes: names of the classes.
        device: where the counts are kept.
    """

    def __init__(self, classes: Sequence[str], device: torch.device | str = "cpu") -> None:
        self.classes = tuple(classes)
        self.matrix = torch.zeros(len(classes), len(classes), dtype=torch.int64, device=device)
        self._result: SegmentationResult | None = None

    def add(self, predicted: Tensor, truth: Tensor) -> None:
        """Takes an image, or several.

        Args:
            predicted: classes from 0, of any shape and whole type.
            truth: the same shape, 255 where a pixel counts as no class.
        """
        self._result = None
        self.matrix += pixel_counts(predicted, truth, len(self.classes))

    def compute(self) -> SegmentationResult:
        """The figures over all images of all processes; the result is kept."""
        if self._result is None:
            matrix = self.matrix.clone()
            if is_distributed():
                distributed.all_reduce(matrix)
            self._result = SegmentationResult(self.classes, matrix.cpu().numpy())
        return self._result


def pixel_counts(predicted: Tensor, truth: Tensor, classes: int) -> Tensor:
    """Pixels by class, down, and prediction, across, ``[C, C]`` int64; those that count as no class are left out."""
    if truth.device.type != "cpu":
        # what counts as no class has rows of its own, which are cut off: looking for it first would take longer
        rows = IGNORED + 1
        counts = torch.bincount((truth.long() * classes + predicted).flatten(), minlength=rows * classes)
        return counts.view(rows, classes)[:classes]
    true, said = (labels.to(torch.uint8).flatten().numpy() for labels in (truth, predicted))
    total = np.zeros((classes, classes), dtype=np.int64)
    for begin in range(0, len(true), EXACT):
        part = [true[begin : begin + EXACT], said[begin : begin + EXACT]]
        # twice as quick as NumPy's and PyTorch's; what is beyond the classes is left out
        total += cv2.calcHist(part, [0, 1], None, [classes, classes], [0, classes, 0, classes]).astype(np.int64)
    return torch.from_numpy(total)
