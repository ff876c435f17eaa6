"""Object detection: SSDLite on any backbone, evaluated by COCO's figures."""

from __future__ import annotations

from typing import Any, cast

from ...backbones.contract import Backbone
from ...heads.contract import HeadFactory
from ...heads.predictions import Detections
from ...heads.ssdlite import SSDLite
from ..callbacks.evaluation import Report
from ..data.images import Image
from ..drawing import draw_detection_sheet
from ..task import Task
from .batch import DetectionBatch
from .data import DetectionDataModule
from .metrics import CocoEvaluator


class DetectionTask(Task):
    """Trains a detector and evaluates COCO's twelve figures.

    Args:
        backbone: network that turns images into feature maps, e.g. ``MobileNetV3``.
        head: class of the detection head, e.g. ``SSDLite``; built with the number of classes of the data.
    """

    role = "detection"
    monitor = "val/AP"
    data_class = DetectionDataModule

    def __init__(self, backbone: Backbone, head: HeadFactory = SSDLite, **options: Any) -> None:
        super().__init__(backbone, head, **options)
        self._evaluators: dict[str, CocoEvaluator] = {}  # indexing the annotations of a split takes seconds

    def start_evaluation(self, split: str) -> None:
        data: DetectionDataModule = self.data()
        self._split = data.splits[split]
        if split not in self._evaluators:
            self._evaluators[split] = data.build_evaluator(split)
        self.evaluator = self._evaluators[split]
        self.evaluator.reset()

    def evaluate(self, batch: DetectionBatch) -> list[Detections]:
        image_size = (batch.images.shape[2], batch.images.shape[3])
        predictions = cast(list[Detections], self.network.head.decode(self.network(batch.images), image_size))
        for index, detections in zip(batch.indices.tolist(), predictions, strict=True):
            geometry = self.preprocessing.geometry(*self._split.size(index))
            boxes, scores, labels = (x.float().cpu().numpy() for x in detections.to_image(geometry))
            category_ids = self._split.category_ids[labels.astype(int)]
            self.evaluator.add(int(self._split.image_ids[index]), boxes, scores, category_ids)
        return predictions

    def report(self) -> Report:
        result = self.evaluator.compute()
        figures = {name: value for name, value in result.figures.items() if value is not None}
        return Report(figures, result.as_json(), str(result))

    def draw(self, batch: DetectionBatch, predictions: list[Detections]) -> Image:
        return draw_detection_sheet(batch.images, batch.targets, predictions, self.network.classes)
