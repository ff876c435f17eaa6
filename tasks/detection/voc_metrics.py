"""Pascal VOC's average precision (Everingham et al., IJCV 2010, section 4.2, and the 2012 development kit)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .metrics import CocoEvaluator, CocoResult, Figures, mean

LEAST_IOU = 0.5

Floats = NDArray[np.float64]


class VocEvaluator(CocoEvaluator):
    """COCO's figures, and beside them AP50 as VOC computes it.

    ``AP50_VOC`` is the area under the precision envelope (VOC 2010 and later), ``AP50_VOC07`` the mean of it at eleven
    recalls (VOC 2007). Difficult objects, crowds in the truth, are overlooked: finding them is neither right nor wrong.
    """

    def _compute(self) -> CocoResult:
        coco = super()._compute()
        per_class: dict[str, Figures] = {"AP50_VOC": {}, "AP50_VOC07": {}}
        for category_id, category in self.truth.cats.items():
            recall_precision = self._curve(category_id)
            for name, area in (("AP50_VOC", area_under_envelope), ("AP50_VOC07", eleven_points)):
                per_class[name][category["name"]] = None if recall_precision is None else area(*recall_precision)
        figures = {name: mean(values.values()) for name, values in per_class.items()}
        return CocoResult(coco.figures | figures, coco.per_class | per_class)

    def _curve(self, category_id: int) -> tuple[Floats, Floats] | None:
        """Recall and precision of one class after each detection, best first; None without an object."""
        scores: list[float] = []
        right: list[bool] = []
        objects = 0
        for image_id, detections in self.detections.items():
            rows = [row for row in self.truth.imgToAnns[image_id] if row["category_id"] == category_id]
            difficult = np.array([bool(row["iscrowd"]) for row in rows], dtype=bool)
            objects += int((~difficult).sum())
            found = detections[detections[:, 5] == category_id]
            found = found[np.argsort(-found[:, 4], kind="stable")]
            verdicts = judge(found[:, :4], np.array([row["bbox"] for row in rows]).reshape(-1, 4), difficult)
            scores += [score for score, verdict in zip(found[:, 4], verdicts, strict=True) if verdict is not None]
            right += [verdict for verdict in verdicts if verdict is not None]
        if objects == 0:
            return None
        hits = np.array(right, dtype=bool)[np.argsort(-np.array(scores), kind="stable")]
        true = np.cumsum(hits)
        return true / objects, true / np.arange(1, len(hits) + 1)


def judge(detections: Floats, objects: Floats, difficult: NDArray[np.bool_]) -> list[bool | None]:
    """Whether each detection of an image is right; None where it found a difficult object.

    A detection counts for the object that it overlaps most, whether or not that is taken already.

    Args:
        detections: ``[K, 4]`` as x, y, w, h, best first.
        objects: ``[M, 4]`` as x, y, w, h.
        difficult: ``[M]``.
    """
    if not len(objects):
        return [False] * len(detections)
    taken: NDArray[np.bool_] = np.zeros(len(objects), dtype=bool)
    verdicts: list[bool | None] = []
    for overlaps in iou(detections, objects):
        best = int(overlaps.argmax())
        if overlaps[best] < LEAST_IOU:
            verdicts.append(False)
        elif difficult[best]:
            verdicts.append(None)
        else:
            verdicts.append(not taken[best])
            taken[best] = True
    return verdicts


def iou(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of ``boxes`` ``[K, 4]`` with ``others`` ``[M, 4]``, both x, y, w, h: ``[K, M]``."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    end = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    both = np.clip(end - corner, 0, None).prod(2)
    return both / (boxes[:, 2:].prod(1)[:, None] + others[:, 2:].prod(1)[None] - both)


def area_under_envelope(recall: Floats, precision: Floats) -> float:
    """Area under the precision that is kept up at each recall or beyond."""
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def eleven_points(recall: Floats, precision: Floats) -> float:
    """Mean of the best precision at recalls of at least 0, 0.1, … 1."""
    best: list[Any] = [precision[recall >= level - 1e-9].max(initial=0.0) for level in np.linspace(0, 1, 11)]
    return float(np.mean(best))
