"""COCO's twelve figures and AP per class, computed by pycocotools from the original annotation file."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import distributed

from ..drawing import format_figure
from ..network import is_distributed

FIGURES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
)

Figures = dict[str, float | None]


@dataclass(frozen=True)
class CocoResult:
    """Figures of one evaluation, 0 … 1; None for a figure without objects to compute it from.

    Attributes:
        figures: values by name, COCO's twelve first and in COCO's order.
        per_class: for the name of a figure, its value for each class name.
    """

    figures: Figures
    per_class: dict[str, Figures]

    def as_json(self) -> dict[str, Any]:
        """Returns plain values for a JSON file."""
        return {"figures": self.figures} | {f"{name}_per_class": values for name, values in self.per_class.items()}

    def __str__(self) -> str:
        tables = {"": self.figures} | {f"{name} per class": values for name, values in self.per_class.items()}
        width = max(len(name) for values in tables.values() for name in values)
        lines: list[str] = []
        for title, values in tables.items():
            lines += ["", title] if title else []
            lines += [f"{name:<{width}}  {format_figure(value, 3)}" for name, value in values.items()]
        return "\n".join(lines)


class CocoEvaluator:
    """Collects detections image by image and evaluates them against COCO annotations.

    Args:
        ground_truth: content of the original annotation file, crowds included; it is modified.
    """

    def __init__(self, ground_truth: dict[str, Any]) -> None:
        self.ground_truth = build_ground_truth(ground_truth)
        self.reset()

    def reset(self) -> None:
        """Forgets all detections."""
        self.detections: dict[int, NDArray[np.float64]] = {}
        self._result: CocoResult | None = None

    def add(self, image_id: int, boxes: NDArray[Any], scores: NDArray[Any], category_ids: NDArray[Any]) -> None:
        """Adds the detections of one image; they replace earlier ones of that image.

        Args:
            image_id: id of the image in the file.
            boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels of the image.
            scores: ``[K]``.
            category_ids: ``[K]``, ids of the categories in the file.
        """
        self._result = None
        size = boxes[:, 2:] - boxes[:, :2]
        self.detections[image_id] = np.column_stack((boxes[:, :2], size, scores, category_ids)).astype(np.float64)

    def compute(self) -> CocoResult:
        """Evaluates only the images that were added, over all processes; the result is cached."""
        if self._result is None:
            self._result = self._compute_distributed() if is_distributed() else self._compute()
        return self._result

    def _compute_distributed(self) -> CocoResult:
        """Gathers the detections and evaluates them once, so that all processes return the same figures."""
        gathered: list[dict[int, NDArray[np.float64]]] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(gathered, self.detections)
        result: list[CocoResult | None] = [None]
        if distributed.get_rank() == 0:
            for part in gathered:
                self.detections |= part
            result = [self._compute()]
        distributed.broadcast_object_list(result)
        assert result[0] is not None
        return result[0]

    def _compute(self) -> CocoResult:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            evaluation = COCOeval(self.ground_truth, self._detections_as_coco(), "bbox")
            evaluation.params.imgIds = sorted(self.detections)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        names = [self.ground_truth.cats[key]["name"] for key in evaluation.params.catIds]
        precision = evaluation.eval["precision"][:, :, :, 0, -1]  # [IoU, recall, class] all areas, 100 detections
        return CocoResult(
            {name: float(x) if x > -1 else None for name, x in zip(FIGURES, evaluation.stats, strict=True)},
            {"AP": {name: mean_or_none(precision[:, :, k]) for k, name in enumerate(names)}},
        )

    def _detections_as_coco(self) -> COCO:
        """Returns detections in the form of COCO.loadRes, which itself fails without detections."""
        annotations: list[dict[str, Any]] = []
        for image_id, table in self.detections.items():
            for x, y, w, h, score, category in table.tolist():
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": int(category),
                        "bbox": [x, y, w, h],
                        "score": score,
                        "area": w * h,
                        "iscrowd": 0,
                    }
                )
        return index_annotations({**self.ground_truth.dataset, "annotations": annotations})


def build_ground_truth(content: dict[str, Any]) -> COCO:
    """Prepares the content of an annotation file for pycocotools.

    Missing ``area`` and ``iscrowd`` are added. Objects are numbered from 1, because pycocotools treats the id 0 as "not
    matched" and objects with the same id as one object. Crowds without a box are left out.
    """
    content["annotations"] = [row for row in content["annotations"] if row.get("bbox")]
    for number, row in enumerate(content["annotations"], start=1):
        row["id"] = number
        row["iscrowd"] = int(bool(row.get("iscrowd")))
        if row.get("area") is None:
            row["area"] = row["bbox"][2] * row["bbox"][3]
    for category in content["categories"]:
        category.setdefault("name", str(category["id"]))
    return index_annotations(content)


def index_annotations(content: dict[str, Any]) -> COCO:
    """Builds a COCO object from the content of an annotation file."""
    coco = COCO()
    coco.dataset = content  # pyright: ignore[reportAttributeAccessIssue] — the stub requires every optional key
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
    return coco


def mean_or_none(values: NDArray[np.float64]) -> float | None:
    """Returns the mean of the values that are not −1 (undefined in pycocotools); None without such values."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None
