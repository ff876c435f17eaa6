"""Predictions as users get them: what predicts, and a result for each kind of task; without Lightning."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .classification import ImageClassification as ImageClassification
    from .detection import ImageDetections as ImageDetections
    from .predictor import Predictor as Predictor
    from .result import ImageResult as ImageResult
    from .segmentation import ImageSegmentation as ImageSegmentation
else:
    __getattr__, __dir__ = lazy_exports(__name__)
