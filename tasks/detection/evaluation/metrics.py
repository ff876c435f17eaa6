"""COCO's twelve figures and AP per class of the detections that are added image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from torch import distributed

from ....errors import EvaluationError
from ...drawing import format_figure
from ...network import is_distributed
from .coco_backends import Backend, BackendChoice, choose_backend, run_backend
from .evidence import DetectionEvidence
from .ground_truth import Floats, GroundTruth, Integers

FIGURES = DetectionEvidence.figure_names  # in COCO's order

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


class DetectionTable(NamedTuple):
    """Detections of the images that were added, image by image.

    Attributes:
        images: indices of the images, ascending, ``[N]``; also of those without detections.
        counts: number of detections of each image, ``[N]``.
        rows: x, y, width, height, score and index of the category, ``[K, 6]``.
    """

    images: Integers
    counts: Integers
    rows: Floats

    @classmethod
    def from_images(cls, detections: dict[int, Floats]) -> DetectionTable:
        """Builds the table from the rows of each image."""
        images = sorted(detections)
        parts = [detections[image] for image in images]
        counts = np.array([len(part) for part in parts], dtype=np.int64)
        return cls(np.array(images, dtype=np.int64), counts, np.concatenate([np.empty((0, 6)), *parts]))

    def by_image(self) -> dict[int, Floats]:
        """Returns the rows of each image."""
        parts = np.split(self.rows, np.cumsum(self.counts)[:-1])
        return dict(zip(self.images.tolist(), parts, strict=False))  # without images, np.split returns one part

    def with_images(self) -> Floats:
        """Returns the rows with the index of their image in front, ``[K, 7]``."""
        return np.column_stack((np.repeat(self.images, self.counts).astype(np.float64), self.rows))


class CocoEvaluator:
    """Collects detections image by image and evaluates them against COCO annotations.

    Args:
        ground_truth: the objects of a split, or the content of a COCO file, crowds included.
        backend: package that computes the figures: "hotcoco" or "pycocotools", whose figures are equal. "auto" is
            hotcoco where it is installed, because it is much faster.

    Raises:
        UserError: ``backend`` is hotcoco, and it is not installed.
    """

    def __init__(self, ground_truth: GroundTruth | dict[str, Any], backend: BackendChoice = "auto") -> None:
        self.backend: Backend = choose_backend(backend)
        is_parsed = isinstance(ground_truth, GroundTruth)
        self.ground_truth = ground_truth if is_parsed else GroundTruth.from_coco(ground_truth)
        self.reset()

    def reset(self) -> None:
        """Forgets all detections."""
        self.detections: dict[int, Floats] = {}  # rows of a DetectionTable by index of the image
        self._result: CocoResult | None = None
        self._evaluated: DetectionTable | None = None  # of all processes, in the first one
        self._evidence: DetectionEvidence | None = None  # of what was evaluated

    def add(self, image_id: int, boxes: ArrayLike, scores: ArrayLike, category_ids: ArrayLike) -> None:
        """Adds the detections of one image; they replace earlier ones of that image.

        Args:
            image_id: id of the image in the file.
            boxes: ``[K, 4]`` as x1, y1, x2, y2 in pixels of the image.
            scores: ``[K]``.
            category_ids: ``[K]``, ids of the categories in the file.

        Raises:
            EvaluationError: scores or boxes are NaN or infinite, the file lacks the image or a category, or the arrays
                do not fit together.
        """
        corners = np.asarray(boxes, dtype=np.float64)
        has_corners = corners.ndim == 2 and corners.shape[1] == 4
        xywh = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), axis=1) if has_corners else corners
        self.add_xywh(image_id, xywh, scores, category_ids)

    def add_xywh(self, image_id: int, boxes: ArrayLike, scores: ArrayLike, category_ids: ArrayLike) -> None:
        """Does the same as :meth:`add` for boxes ``[K, 4]`` as x, y, width and height."""
        image = self.ground_truth.image_index(image_id)
        boxes, scores = np.asarray(boxes, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        category_ids = np.asarray(category_ids)
        shapes = boxes.shape, scores.shape, category_ids.shape
        if shapes != ((len(scores), 4), (len(scores),), (len(scores),)):
            raise EvaluationError(f"Boxes, scores and categories must be [K, 4], [K] and [K], not {shapes}.")
        for what, values in (("scores", scores), ("boxes", boxes)):
            if not np.isfinite(values).all():
                name = self.ground_truth.describe_image(image)
                raise EvaluationError(f"The {what} found in {name} are NaN or infinite; they must be finite numbers.")
        categories = self.ground_truth.category_indices(category_ids)
        self.detections[image] = np.column_stack((boxes, scores, categories.astype(np.float64)))
        self._result = None

    def compute(self) -> CocoResult:
        """Evaluates only the images that were added, over all processes; the result is cached.

        Without any image, all figures are None. An image without detections counts: its objects are missed.
        """
        if self._result is None:
            table = DetectionTable.from_images(self.detections)
            self._result = self._compute_distributed(table) if is_distributed() else self._compute(table)
        return self._result

    def _compute_distributed(self, table: DetectionTable) -> CocoResult:
        """Evaluates the detections of all processes in the first one, which then has all cores for it.

        Each process sends three arrays. Of an image that several processes added, the last process counts.
        """
        tables = [table] * distributed.get_world_size()
        distributed.all_gather_object(tables, table)
        result: list[CocoResult | None] = [None]
        if distributed.get_rank() == 0:
            merged = {image: rows for part in tables for image, rows in part.by_image().items()}
            result = [self._compute(DetectionTable.from_images(merged))]
        distributed.broadcast_object_list(result)
        assert result[0] is not None
        return result[0]

    def evidence(self) -> DetectionEvidence | None:
        """Returns what :meth:`compute` evaluated of each image; None in all processes but the first.

        The detections are matched in the first call.
        """
        table = self._evaluated
        if self._evidence is None and table is not None:
            self._evidence = DetectionEvidence.from_detections(self.ground_truth, table.images, table.with_images())
        return self._evidence

    def _compute(self, table: DetectionTable) -> CocoResult:
        self._evaluated, self._evidence = table, None
        classes = self.ground_truth.classes
        if not len(table.images):  # hotcoco would evaluate all images of the file
            return CocoResult(dict.fromkeys(FIGURES), {"AP": dict.fromkeys(classes)})
        arrays = run_backend(self.backend, self.ground_truth, table.images, table.with_images())
        return CocoResult(
            {name: float(x) if x > -1 else None for name, x in zip(FIGURES, arrays.figures, strict=True)},
            {"AP": {name: mean_or_none(arrays.precision[:, :, k]) for k, name in enumerate(classes)}},
        )


def mean_or_none(values: Floats) -> float | None:
    """Returns the mean of the values that are not −1 (no objects); None without such values."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else None
