"""Detected objects of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import format_count
from ...heads.predictions import Detections
from ..drawing import draw_detection_result
from ..images import Image
from ..images.inputs import InputImage
from .packages import import_supervision
from .result import Entry, ImageResult


class ImageDetections(ImageResult):
    """Objects that were detected in an image, the highest score first; ``len`` is their number.

    Attributes:
        prediction: boxes, scores and labels.
    """

    prediction: Detections

    def __init__(
        self,
        prediction: Detections,
        classes: Sequence[str],
        source: InputImage,
        size: tuple[int, int],
        score: float | None = None,
    ) -> None:
        super().__init__(Detections(*(values.cpu() for values in prediction)), classes, source, size, score)
        if score is not None:
            self.prediction = Detections(*(values[self.scores >= score] for values in self.prediction))

    @property
    def boxes(self) -> Tensor:
        """Boxes ``[K, 4]`` as x1, y1, x2, y2 in pixels of the image."""
        return self.prediction.boxes

    @property
    def scores(self) -> Tensor:
        """Scores ``[K]`` in 0 … 1."""
        return self.prediction.scores

    @property
    def labels(self) -> Tensor:
        """Class indices ``[K]`` from 0."""
        return self.prediction.labels

    @property
    def names(self) -> list[str]:
        """Name of the class of each object."""
        return [self.classes[label] for label in self.labels.tolist()]

    def __len__(self) -> int:
        return len(self.scores)

    def headline(self) -> str:
        shown = int((self.scores >= self.min_score).sum())
        counted = format_count(len(self), "objects") if len(self) else "no objects"
        return counted if shown == len(self) else f"{counted} ({shown:,} with a score of at least {self.min_score:g})"

    def entries(self) -> list[Entry]:
        pairs = zip(self.names, self.scores.tolist(), strict=True)
        return [Entry(name, f"{score:.2f}") for name, score in pairs if score >= self.min_score]

    def draw(self, score: float | None = None, is_frame: bool = False) -> Image:
        min_score = self.resolve_score(score)
        return draw_detection_result(self.image, self.prediction, self.classes, min_score, is_frame)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON: path, height, width, and label, class, score and box of each object."""
        columns = (values.tolist() for values in (self.labels, self.scores, self.boxes))
        objects = [
            {"label": label, "class": self.classes[label], "score": score, "box": box}
            for label, score, box in zip(*columns, strict=True)
        ]
        return {**self.describe_source(), "objects": objects}

    def to_coco(self, category_ids: Sequence[int | str] | None = None) -> list[dict[str, Any]]:
        """Returns an entry of COCO's result format for each object, without the id of the image.

        Args:
            category_ids: id of each class. Default: 1 + the class index.
        """
        ids = range(1, len(self.classes) + 1) if category_ids is None else category_ids
        boxes = torch.cat((self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]), dim=1)
        columns = (values.tolist() for values in (self.labels, boxes, self.scores))
        return [
            {"category_id": ids[label], "bbox": box, "score": score} for label, box, score in zip(*columns, strict=True)
        ]

    def to_supervision(self) -> Any:
        """Returns ``supervision.Detections`` with boxes, scores, class indices and "class_name".

        Raises:
            UserError: the package is not installed.
        """
        supervision = import_supervision()
        boxes, scores, labels = (values.numpy() for values in self.prediction)
        return supervision.Detections(
            xyxy=boxes.astype("float32"),
            confidence=scores.astype("float32"),
            class_id=labels.astype(int),
            data={"class_name": np.array(self.names, dtype=np.str_)},
        )
