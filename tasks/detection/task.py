"""Object detection: SSDLite on any backbone, evaluated as COCO does."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import distributed

from ...backbones.contract import Backbone
from ...heads.contract import HeadFactory
from ...heads.predictions import Detections
from ...heads.ssdlite import SSDLite
from ..drawing import draw_detection_sheet, save_image
from ..freezing import Epochs
from ..preprocessing import Preprocessing
from ..processes import is_distributed
from ..schedule import Schedule
from ..task import Report, Task
from .data import DetectionBatch, DetectionDataModule
from .metrics import CocoEvaluator, CocoResult


class DetectionTask(Task):
    """Trains a detector and measures COCO's twelve figures; see :class:`litmobile.tasks.task.Task`."""

    role = "detection"
    monitor = "val/AP"
    data_class = DetectionDataModule

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = SSDLite,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 — frozen
        num_classes: int | None = None,
        feature_maps: list[str] | None = None,
        backbone_weights: str | None = None,
        weights: str | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(
            parameters, lr=0.05, momentum=0.9, weight_decay=4e-5
        ),
        base_batch_size: int | None = None,
        warmup_steps: int = 1000,
        schedule: Schedule | None = None,
        freeze_epochs: Epochs = 0,
        unfreeze_interval: int = 0,
        ema_decay: float | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__(
            backbone,
            head,
            preprocessing,
            num_classes=num_classes,
            feature_maps=feature_maps,
            backbone_weights=backbone_weights,
            weights=weights,
            optimizer=optimizer,
            base_batch_size=base_batch_size,
            warmup_steps=warmup_steps,
            schedule=schedule,
            freeze_epochs=freeze_epochs,
            unfreeze_interval=unfreeze_interval,
            ema_decay=ema_decay,
            channels_last=channels_last,
        )
        self._evaluators: dict[str, CocoEvaluator] = {}
        self.last_detections: list[Detections] = []

    def start_evaluation(self, split: str) -> None:
        data = cast(DetectionDataModule, self._data())
        self._annotations = data.splits[split]
        if split not in self._evaluators:
            self._evaluators[split] = data.evaluator(split)
        self._evaluator = self._evaluators[split]
        self._evaluator.reset()

    def evaluate(self, batch: DetectionBatch) -> None:
        image_size = (batch.images.shape[2], batch.images.shape[3])
        found = self.network.head.decode(self.network(batch.images), image_size)
        self.last_detections = cast(list[Detections], found)
        for index, detections in zip(batch.indices.tolist(), self.last_detections, strict=True):
            geometry = self.preprocessing.geometry(*self._annotations.size(index))
            boxes, scores, labels = (x.float().cpu().numpy() for x in detections.to_image(geometry))
            category_ids = self._annotations.category_ids[labels.astype(int)]
            self._evaluator.add(int(self._annotations.image_ids[index]), boxes, scores, category_ids)

    def draw(self, batch: DetectionBatch, path: Path) -> None:
        classes = self.network.classes
        save_image(draw_detection_sheet(batch.images, batch.targets, self.last_detections, classes), path)

    def finish_evaluation(self) -> tuple[dict[str, float], Report]:
        result = self._result_of_all_processes()
        figures = {name: value for name, value in result.figures.items() if value is not None}
        return figures, Report(result.as_json(), str(result))

    def _result_of_all_processes(self) -> CocoResult:
        """Detections are gathered and evaluated once, so that every process knows the same figures."""
        if not is_distributed():
            return self._evaluator.compute()
        gathered: list[dict] = [{} for _ in range(distributed.get_world_size())]
        distributed.all_gather_object(gathered, self._evaluator.detections)
        result: list[CocoResult | None] = [None]
        if distributed.get_rank() == 0:
            for part in gathered:
                self._evaluator.detections |= part
            result = [self._evaluator.compute()]
        distributed.broadcast_object_list(result)
        assert result[0] is not None
        return result[0]
