"""Chooses the result for a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import UserError
from ...heads.predictions import Classification, Detections, Prediction, Segmentation
from .classification import ImageClassification
from .detection import ImageDetections
from .result import ImageResult
from .segmentation import ImageSegmentation
from .sources import PreparedImage

#: result for each kind of prediction
RESULTS: dict[type, type[ImageResult]] = {
    Detections: ImageDetections,
    Segmentation: ImageSegmentation,
    Classification: ImageClassification,
}


def make_result(prediction: Prediction, image: PreparedImage, classes: Sequence[str], score: float | None) -> Any:
    """Returns the result for a prediction, on the CPU; a prediction of another kind is returned unchanged.

    Raises:
        UserError: ``score`` is given, but does not apply to such a prediction.
    """
    kind = next((RESULTS[known] for known in RESULTS if isinstance(prediction, known)), None)
    if score is not None and (kind is None or not kind.takes_score):
        raise UserError("score is for detectors and classifiers; leave it out for this network.")
    if kind is None:
        return prediction
    size = (image.geometry.height, image.geometry.width)
    return kind(prediction, classes, image.source, size, score)
