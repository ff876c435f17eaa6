"""COCO's twelve figures and AP per class, computed by pycocotools on the original annotation file."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
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
    "AP",
    "AP50",
    "AP75",
    "AP_small",
    "AP_medium",
    "AP_large",
    "AR_1",
    "AR_10",
    "AR_100",
    "AR_small",
    "AR_medium",
    "AR_large",
)


Figures = dict[str, float | None]


@dataclass(frozen=True)
class CocoResult:
    """Figures of one evaluation, 0 … 1; None where the images hold no object that it could be computed from.

    Attributes:
        figures: by name, COCO's twelve first and in its order.
        per_class: by name of a figure, its value for each class name.
    """

    figures: Figures
    per_class: dict[str, Figures]

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {"figures": self.figures} | {f"{name}_per_class": values for name, values in self.per_class.items()}

    def __str__(self) -> str:
        classes = [name for values in self.per_class.values() for name in values]
        width = max(map(len, (*self.figures, *classes)))
        lines = [f"{name:<{width}}  {format_figure(value, 3)}" for name, value in self.figures.items()]
        for title, values in self.per_class.items():
            lines += ["", f"{title} per class"]
            lines += [f"{name:<{width}}  {format_figure(value, 3)}" for name, value in values.items()]
        return "\n".join(lines)


class CocoEvaluator:
    """Collects detections image by image and evaluates them against COCO annotations.

    Args:
        truth: content of the original annotation file, which is changed; crowds in it count as COCO counts them.
    """

    def __init__(self, truth: dict[str, Any]) -> None:
        self.truth = load_truth(truth)
        self.reset()

    def reset(self) -> None:
        """Forgets all detections."""
        self.detections: dict[int, NDArray[np.float64]] = {}
        self._result: CocoResult | None = None

    def add(self, image_id: int, boxes: NDArray[Any], scores: NDArray[Any], category_ids: NDArray[Any]) -> None:
        """Takes the detections of one image; of an image that comes twice, the last ones.

        Args:
            image_id: its id in the file.
            boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels of the image.
            scores: ``[K]``.
            category_ids: ``[K]``, ids in the file.
        """
        self._result = None
        size = boxes[:, 2:] - boxes[:, :2]
        self.detections[image_id] = np.column_stack((boxes[:, :2], size, scores, category_ids)).astype(np.float64)

    def compute(self) -> CocoResult:
        """Evaluates the images that were added, in all processes, and no others; the result is kept."""
        if self._result is None:
            self._result = self._compute_distributed() if is_distributed() else self._compute()
        return self._result

    def _compute_distributed(self) -> CocoResult:
        """Gathers the detections and evaluates them once, so that all processes have the same figures."""
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
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
            evaluation = COCOeval(self.truth, self._as_coco(), "bbox")
            evaluation.params.imgIds = sorted(self.detections)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        names = [self.truth.cats[key]["name"] for key in evaluation.params.catIds]
        precision = evaluation.eval["precision"][:, :, :, 0, -1]  # [IoU, recall, class] over all areas, 100 detections
        return CocoResult(
            {name: defined(value) for name, value in zip(FIGURES, evaluation.stats, strict=True)},
            {"AP": {name: mean_defined(precision[:, :, k]) for k, name in enumerate(names)}},
        )

    def _as_coco(self) -> COCO:
        """The detections as COCO.loadRes makes them, which fails where there are none."""
        found = COCO()
        rows: list[dict[str, Any]] = []
        for image_id, table in self.detections.items():
            for x, y, w, h, score, category in table.tolist():
                rows.append(
                    {
                        "id": len(rows) + 1,
                        "image_id": image_id,
                        "category_id": int(category),
                        "bbox": [x, y, w, h],
                        "score": score,
                        "area": w * h,
                        "iscrowd": 0,
                    }
                )
        content: Any = {
            "images": self.truth.dataset["images"],
            "categories": self.truth.dataset["categories"],
            "annotations": rows,
        }
        found.dataset = content
        found.createIndex()
        return found


def load_truth(content: dict[str, Any]) -> COCO:
    """The content of an annotation file as pycocotools wants it.

    ``area`` and ``iscrowd`` are supplied where a file lacks them. Objects are numbered from 1: pycocotools takes an id
    of 0 for "matched nothing", and ids that occur twice for one object. Crowds that are only outlined are left out.
    """
    truth = COCO()
    content["annotations"] = [row for row in content["annotations"] if row.get("bbox")]
    for number, row in enumerate(content["annotations"], start=1):
        row["id"] = number
        row["iscrowd"] = int(bool(row.get("iscrowd")))
        if row.get("area") is None:
            row["area"] = row["bbox"][2] * row["bbox"][3]
    for category in content["categories"]:
        category.setdefault("name", str(category["id"]))
    truth.dataset = content  # pyright: ignore[reportAttributeAccessIssue] — the stub wants every optional key
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
    return truth


def defined(value: float) -> float | None:
    """Pycocotools says −1 where nothing can be computed."""
    return float(value) if value > -1 else None


def mean_defined(values: NDArray[np.float64]) -> float | None:
    """Mean of the values that could be computed."""
    there = values[values > -1]
    return float(there.mean()) if there.size else None


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that could be computed."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None
