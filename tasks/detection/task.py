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
from ..drawing import save_picture
from ..freezing import Epochs
from ..preprocessing import Preprocessing
from ..processes import several
from ..schedule import Schedule
from ..task import Report, Task
from .data import DetectionBatch, DetectionData
from .metrics import CocoEvaluator, CocoResult
from .pictures import contact_sheet


class DetectionTask(Task):
    """Trains a detector and measures COCO's twelve figures; see :class:`litmobile.tasks.task.Task`."""

    role = "detection"
    monitor = "val/AP"
    data_class = DetectionData

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = SSDLite,
        preprocessing: Preprocessing = Preprocessing(),  # noqa: B008 — frozen
        num_classes: int | None = None,
        maps: list[str] | None = None,
        backbone_weights: str | None = None,
        weights: str | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(
            parameters, lr=0.05, momentum=0.9, weight_decay=4e-5
        ),
        reference_batch: int | None = None,
        warmup_steps: int = 1000,
        schedule: Schedule | None = None,
        frozen_epochs: Epochs = 0,
        stage_epochs: int = 0,
        average_decay: float | None = None,
        channels_last: bool = True,
    ) -> None:
        super().__init__(
            backbone,
            head,
            preprocessing,
            num_classes=num_classes,
            maps=maps,
            backbone_weights=backbone_weights,
            weights=weights,
            optimizer=optimizer,
            reference_batch=reference_batch,
            warmup_steps=warmup_steps,
            schedule=schedule,
            frozen_epochs=frozen_epochs,
            stage_epochs=stage_epochs,
            average_decay=average_decay,
            channels_last=channels_last,
        )
        self._evaluators: dict[str, CocoEvaluator] = {}
        self.last_detections: list[Detections] = []

    def start_evaluation(self, split: str) -> None:
        data = cast(DetectionData, self._data())
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
            frame = self.preprocessing.frame(*self._annotations.size(index))
            boxes, scores, labels = (x.float().cpu().numpy() for x in detections.to_image(frame))
            category_ids = self._annotations.category_ids[labels.astype(int)]
            self._evaluator.add(int(self._annotations.image_ids[index]), boxes, scores, category_ids)

    def draw(self, batch: DetectionBatch, path: Path) -> None:
        save_picture(contact_sheet(batch.images, batch.targets, self.last_detections, self.network.classes), path)

    def finish_evaluation(self) -> tuple[dict[str, float], Report]:
        result = self._result_of_all_processes()
        figures = {name: value for name, value in result.figures.items() if value is not None}
        return figures, Report(result.as_json(), str(result))

    def _result_of_all_processes(self) -> CocoResult:
        """Detections are gathered and evaluated once, so that every process knows the same figures."""
        if not several():
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
