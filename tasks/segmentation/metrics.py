"""IoU and accuracy from one confusion matrix of a whole split, as the Cityscapes benchmark computes them."""

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
from ..evidence import divide, gather_by_image
from ..network import is_distributed
from .evidence import SegmentationEvidence

MAX_EXACT = 2**24  # OpenCV counts pixels in float32, which is exact up to here


@dataclass(frozen=True)
class SegmentationResult:
    """Figures of one evaluation, 0 … 1.

    A class that is neither in the masks nor in the predictions has no IoU, and means leave it out. A class that is
    only predicted has the IoU 0, as in the Cityscapes benchmark.

    Attributes:
        classes: names of the classes.
        matrix: confusion matrix ``[C, C]``: number of pixels by true class (row) and predicted class (column), without
            ignored pixels.
    """

    classes: tuple[str, ...]
    matrix: NDArray[np.int64]

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each class ``[C]``; NaN if neither masks nor predictions contain it."""
        correct = self.matrix.diagonal()
        return divide(correct, self.matrix.sum(0) + self.matrix.sum(1) - correct)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the pixels of each class that are predicted correctly ``[C]``; NaN if no mask contains it."""
        return divide(self.matrix.diagonal(), self.matrix.sum(1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the pixels predicted as each class that are of this class ``[C]``; NaN if it is never predicted."""
        return divide(self.matrix.diagonal(), self.matrix.sum(0))

    @property
    def figures(self) -> dict[str, float]:
        """Means over the classes, and the share of labelled pixels that are predicted correctly."""
        pixels = int(self.matrix.sum())
        return {
            "miou": nan_mean(self.iou),
            "pixel_accuracy": float(self.matrix.trace() / pixels) if pixels else float("nan"),
            "mean_recall": nan_mean(self.recall),
        }

    def per_class(self) -> dict[str, dict[str, float | int | None]]:
        """IoU, recall, precision and numbers of pixels of each class; None for undefined figures."""
        pixels, predicted_pixels = self.matrix.sum(1), self.matrix.sum(0)
        return {
            name: {
                "iou": nan_to_none(self.iou[k]),
                "recall": nan_to_none(self.recall[k]),
                "precision": nan_to_none(self.precision[k]),
                "pixels": int(pixels[k]),
                "predicted_pixels": int(predicted_pixels[k]),
            }
            for k, name in enumerate(self.classes)
        }

    def as_json(self) -> dict[str, Any]:
        """Returns plain values for a JSON file."""
        figures = {name: nan_to_none(value) for name, value in self.figures.items()}
        return {"pixels": int(self.matrix.sum()), "figures": figures, "per_class": self.per_class()}

    def confusion_table(self) -> list[list[object]]:
        """Returns the confusion matrix as rows with class names."""
        return confusion_table(self.matrix, self.classes)

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.classes, *self.figures))
        lines = [f"{name:<{width}}  {format_figure(nan_to_none(value))}" for name, value in self.figures.items()]
        lines += ["", f"{'':<{width}}     IoU  recall  precision       pixels"]
        for name, row in self.per_class().items():
            absent = "  absent" if row["iou"] is None else "  in no mask" if not row["pixels"] else ""
            iou, recall, precision = (format_figure(row[key]) for key in ("iou", "recall", "precision"))
            lines.append(f"{name:<{width}}  {iou:>6}  {recall:>6}  {precision:>9}  {row['pixels']:>11}{absent}")
        return "\n".join(lines)


def nan_mean(values: NDArray[np.float64]) -> float:
    """Returns the mean of the ``values`` that are not NaN; NaN if all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def nan_to_none(value: float) -> float | None:
    """Converts NaN to None."""
    return None if np.isnan(value) else float(value)


class SegmentationEvaluator:
    """Counts confusion matrices: that of all images, and the entries of each image that are not 0.

    Its own counting is 20 times as fast as torchmetrics' (``litmobile.tools.benchmark confusion``).

    Args:
        classes: names of the classes.
        device: device of the matrix.
    """

    def __init__(self, classes: Sequence[str], device: torch.device | str = "cpu") -> None:
        self.classes = tuple(classes)
        self.matrix = torch.zeros(len(classes), len(classes), dtype=torch.int64, device=device)
        self._kept: dict[int, NDArray[np.int64]] = {}  # true class, predicted class and pixels, [E, 3]
        self._result: SegmentationResult | None = None

    def add(self, predicted: Tensor, truth: Tensor, image: int | None = None) -> None:
        """Counts the pixels of one or several images.

        Args:
            predicted: class indices, of any shape and integer type.
            truth: class indices of the same shape, 255 for ignored pixels.
            image: index of the image in the split. Default: the image leaves no evidence.
        """
        self._result = None
        counts = count_pixels(predicted, truth, len(self.classes))
        self.matrix += counts
        if image is not None:
            entries = counts.nonzero()
            self._kept[image] = torch.column_stack((entries, counts[tuple(entries.T)])).cpu().numpy()

    def compute(self) -> SegmentationResult:
        """Returns the figures over all images of all processes, which must all call it once; the result is kept."""
        if self._result is None:
            matrix = self.matrix.clone()
            if is_distributed():
                distributed.all_reduce(matrix)
            self._result = SegmentationResult(self.classes, matrix.cpu().numpy())
        return self._result

    def evidence(self, names: NDArray[np.str_]) -> SegmentationEvidence | None:
        """Returns the matrix of each image of all processes, which must all call it; None without images.

        Args:
            names: file names of the images of the split.
        """
        kept = gather_by_image(self._kept)
        if not kept:
            return None
        truth, predicted, pixels = np.concatenate([*kept.values()]).T
        return SegmentationEvidence(
            classes=self.classes,
            names=tuple(names[list(kept)].tolist()),
            images=np.repeat(np.arange(len(kept), dtype=np.int32), [len(entries) for entries in kept.values()]),
            truth=truth.astype(np.uint8),
            predicted=predicted.astype(np.uint8),
            pixels=pixels,
        )


def count_pixels(predicted: Tensor, truth: Tensor, num_classes: int) -> Tensor:
    """Returns the confusion matrix ``[C, C]`` int64: rows are true, columns are predicted classes.

    Ignored pixels are not counted.
    """
    if truth.device.type != "cpu":
        # ignored pixels get rows of their own, which are cut off: masking them first would be slower
        rows = IGNORED + 1
        counts = torch.bincount((truth.long() * num_classes + predicted).flatten(), minlength=rows * num_classes)
        return counts.view(rows, num_classes)[:num_classes]
    pixels = [labels.to(torch.uint8).flatten().numpy() for labels in (truth, predicted)]
    total = np.zeros((num_classes, num_classes), dtype=np.int64)
    for start in range(0, len(pixels[0]), MAX_EXACT):
        part = [labels[start : start + MAX_EXACT] for labels in pixels]
        # twice as fast as NumPy and PyTorch; leaves out values outside the ranges, e.g. ignored pixels
        counts = cv2.calcHist(part, [0, 1], None, [num_classes] * 2, [0, num_classes] * 2)
        total += counts.astype(np.int64)
    return torch.from_numpy(total)
