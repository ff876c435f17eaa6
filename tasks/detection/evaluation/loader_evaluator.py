"""COCO's figures against the targets of a user's own DataLoader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...network import gather_by_image
from .ground_truth import Floats, Integers
from .metrics import CocoEvaluator, CocoResult


class EvaluatedImage(NamedTuple):
    """Detections and objects of an image: boxes ``[K, 4]`` as x1, y1, x2, y2, scores and labels ``[K]``."""

    boxes: Floats
    scores: Floats
    labels: Integers
    true_boxes: Floats
    true_labels: Integers


class LoaderEvaluator:
    """Collects detections and objects image by image, in pixels of the loader's images, and evaluates them.

    Whether an object is small, medium or large is decided by the area of its box.

    Args:
        classes: names of the classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._images: dict[int, EvaluatedImage] = {}
        self._result: CocoResult | None = None

    def add(self, index: int, image: EvaluatedImage) -> None:
        """Adds the image number ``index``."""
        self._images[index], self._result = image, None

    def compute(self) -> CocoResult:
        """Returns the figures over all images of all processes, which must all call it; the result is kept."""
        if self._result is None:
            images = gather_by_image(self._images)
            evaluator = CocoEvaluator(describe_objects(images, self.classes))
            for index, image in images.items():
                evaluator.add(index, image.boxes, image.scores, image.labels)
            self._result = evaluator.compute()
        return self._result

    def evidence(self) -> None:
        """Returns nothing: the images of the loader have no names."""


def describe_objects(images: dict[int, EvaluatedImage], classes: Sequence[str]) -> dict[str, Any]:
    """Returns the objects as the content of a COCO file, whose ids are the indices."""
    annotations = [
        {"image_id": index, "category_id": int(label), "bbox": [*corners[:2], *(corners[2:] - corners[:2])]}
        for index, image in images.items()
        for corners, label in zip(np.asarray(image.true_boxes), image.true_labels, strict=True)
    ]
    return {
        "images": [{"id": index} for index in images],
        "categories": [{"id": k, "name": name} for k, name in enumerate(classes)],
        "annotations": annotations,
    }
