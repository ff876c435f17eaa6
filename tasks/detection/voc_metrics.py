"""Pascal VOC's average precision (Everingham et al., IJCV 2010, section 4.2, and the 2012 development kit)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from .metrics import CocoEvaluator, CocoResult, Figures

MIN_IOU = 0.5

Floats = NDArray[np.float64]


class VocEvaluator(CocoEvaluator):
    """COCO's figures, and AP50 as VOC computes it.

    ``AP50_VOC`` is the area under the precision envelope (VOC 2010 and later). ``AP50_VOC07`` is the mean of the
    envelope at eleven recalls (VOC 2007). Detections of difficult objects are neither right nor wrong.
    """

    def _compute(self) -> CocoResult:
        coco = super()._compute()
        per_class: dict[str, Figures] = {"AP50_VOC": {}, "AP50_VOC07": {}}
        for category_id, category in self.ground_truth.cats.items():
            curve = self._precision_recall(category_id)
            for name, average in (("AP50_VOC", average_envelope), ("AP50_VOC07", average_eleven_points)):
                per_class[name][category["name"]] = None if curve is None else average(*curve)
        figures = {name: mean_of_defined(values.values()) for name, values in per_class.items()}
        return CocoResult(coco.figures | figures, coco.per_class | per_class)

    def _precision_recall(self, category_id: int) -> tuple[Floats, Floats] | None:
        """Returns recall and precision of one class after each detection, best first; None without objects."""
        scores: list[float] = []
        is_correct: list[bool] = []
        num_objects = 0
        for image_id, table in self.detections.items():
            objects = [row for row in self.ground_truth.imgToAnns[image_id] if row["category_id"] == category_id]
            difficult = np.array([bool(row["iscrowd"]) for row in objects], dtype=bool)
            num_objects += int((~difficult).sum())
            detections = table[table[:, 5] == category_id]
            detections = detections[np.argsort(-detections[:, 4], kind="stable")]
            boxes = np.array([row["bbox"] for row in objects], dtype=np.float64).reshape(-1, 4)
            verdicts = judge_detections(detections[:, :4], boxes, difficult)
            for score, verdict in zip(detections[:, 4], verdicts, strict=True):
                if verdict is not None:
                    scores.append(score)
                    is_correct.append(verdict)
        if num_objects == 0:
            return None
        order = np.argsort(-np.array(scores), kind="stable")
        true_positives = np.cumsum(np.array(is_correct, dtype=bool)[order])
        return true_positives / num_objects, true_positives / np.arange(1, len(order) + 1)


def judge_detections(detections: Floats, objects: Floats, difficult: NDArray[np.bool_]) -> list[bool | None]:
    """Returns whether each detection of an image is correct; None for those of a difficult object.

    A detection is compared only with the object that it overlaps most, even if an earlier detection has matched it.

    Args:
        detections: ``[K, 4]`` as x, y, w, h, best first.
        objects: ``[M, 4]`` as x, y, w, h.
        difficult: ``[M]``.
    """
    if not len(objects):
        return [False] * len(detections)
    is_detected = np.zeros(len(objects), dtype=bool)
    verdicts: list[bool | None] = []
    # the stub of pycocotools lacks float64
    for ious in mask.iou(detections, objects, [0] * len(objects)):  # pyright: ignore[reportArgumentType]
        best = int(ious.argmax())
        if ious[best] < MIN_IOU:
            verdicts.append(False)
        elif difficult[best]:
            verdicts.append(None)
        else:
            verdicts.append(not is_detected[best])
            is_detected[best] = True
    return verdicts


def average_envelope(recall: Floats, precision: Floats) -> float:
    """Returns the area under the envelope: the highest precision at each recall or beyond."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def average_eleven_points(recall: Floats, precision: Floats) -> float:
    """Returns the mean of the highest precision at recalls of at least 0, 0.1, … 1."""
    best: list[Any] = [precision[recall >= level - 1e-9].max(initial=0.0) for level in np.linspace(0, 1, 11)]
    return float(np.mean(best))


def mean_of_defined(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the values that are not None; None without such values."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
