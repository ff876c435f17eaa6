"""Pascal VOC's average precision (Everingham et al., IJCV 2010, section 4.2, and the 2012 development kit)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask

from .ground_truth import Floats, Integers
from .metrics import CocoEvaluator, CocoResult, DetectionTable, Figures

MIN_IOU = 0.5

# columns of detections
IMAGE, BOX, SCORE, CATEGORY = 0, slice(1, 5), 5, 6


class VocEvaluator(CocoEvaluator):
    """COCO's figures, and AP50 as VOC computes it.

    ``AP50_VOC`` is the area under the precision envelope (VOC 2010 and later). ``AP50_VOC07`` is the mean of the
    envelope at eleven recalls (VOC 2007). Detections of difficult objects are neither right nor wrong.
    """

    def _compute(self, table: DetectionTable) -> CocoResult:
        coco = super()._compute(table)
        detections = table.with_images()
        per_class: dict[str, Figures] = {"AP50_VOC": {}, "AP50_VOC07": {}}
        for category, class_name in enumerate(self.ground_truth.classes):
            found = detections[detections[:, CATEGORY] == category]
            curve = self._precision_recall(category, table.images, found)
            for name, average in (("AP50_VOC", average_envelope), ("AP50_VOC07", average_eleven_points)):
                per_class[name][class_name] = None if curve is None else average(*curve)
        figures = {name: mean_of_defined(values.values()) for name, values in per_class.items()}
        return CocoResult(coco.figures | figures, coco.per_class | per_class)

    def _precision_recall(self, category: int, images: Integers, found: Floats) -> tuple[Floats, Floats] | None:
        """Returns recall and precision of one class after each detection, best first; None without objects.

        Args:
            category: index of the class.
            images: indices of the evaluated images, ``[N]``.
            found: detections of the class, ``[K, 7]``.
        """
        truth = self.ground_truth
        objects = np.flatnonzero((truth.categories == category) & np.isin(truth.images, images))
        num_objects = int((~truth.is_crowd[objects]).sum())
        if num_objects == 0:
            return None
        found = found[np.argsort(-found[:, SCORE], kind="stable")]
        by_image = np.argsort(found[:, IMAGE], kind="stable")
        found_images, starts = np.unique(found[by_image, IMAGE], return_index=True)
        verdicts: list[bool | None] = [None] * len(found)
        for image, rows in zip(found_images, np.split(by_image, starts[1:]), strict=False):
            there = objects[slice(*np.searchsorted(truth.images[objects], (image, image + 1)))]
            judged = judge_detections(found[rows, BOX], truth.boxes[there], truth.is_crowd[there])
            for row, verdict in zip(rows, judged, strict=True):
                verdicts[row] = verdict
        true_positives = np.cumsum([verdict for verdict in verdicts if verdict is not None], dtype=np.float64)
        return true_positives / num_objects, true_positives / np.arange(1, len(true_positives) + 1)


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
