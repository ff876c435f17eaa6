"""Image classification: any backbone under a classifier, measured by accuracy and calibration."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from ...backbones.contract import Backbone
from ...heads.classifier import Classifier
from ...heads.contract import HeadFactory
from ..drawing import draw_classification_sheet, draw_confusion_matrix, save_image
from ..freezing import Epochs
from ..preprocessing import Preprocessing
from ..schedule import Schedule
from ..task import Report, Task
from .data import ClassificationBatch, ClassificationDataModule
from .metrics import ClassificationEvaluator
from .mixing import Mixing
from .teachers import Teacher


class ClassificationTask(Task):
    """Trains a classifier and measures accuracy and calibration; see :class:`litmobile.tasks.task.Task` for the rest.

    Args:
        mixup: α of mixup, see :class:`.mixing.Mixing`; 0 for none.
        cutmix: α of CutMix; 0 for none.
        teacher: a trained classifier to learn from beside the true classes.
    """

    role = "classification"
    monitor = "val/top1"
    data_class = ClassificationDataModule

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = Classifier,
        preprocessing: Preprocessing = Preprocessing((224, 224), "crop"),  # noqa: B008 — frozen
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
        mixup: float = 0.0,
        cutmix: float = 0.0,
        teacher: Teacher | None = None,
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
        self._mixing = Mixing(mixup, cutmix)
        self._teacher = teacher
        self.last_scores = torch.empty(0)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self._teacher is not None:
            self._teacher.prepare(self.network.classes, self.device)

    def losses(self, batch: ClassificationBatch) -> dict[str, Tensor]:
        images, targets = self._mixing(batch.images, batch.targets, len(self.network.classes))
        output = self.network(images)
        terms = self.network.head.loss(output, targets)
        return terms if self._teacher is None else self._teacher.terms(terms, output, self._teacher.answer(images))

    def start_evaluation(self, split: str) -> None:
        self._data()  # refuses what is no classification data
        self._evaluator = ClassificationEvaluator(self.network.classes, self.device)

    def evaluate(self, batch: ClassificationBatch) -> None:
        self.last_scores = self._scores(batch.images)
        self._evaluator.add(self.last_scores, batch.targets)

    def _scores(self, images: Tensor) -> Tensor:
        image_size = (images.shape[2], images.shape[3])
        found = self.network.head.decode(self.network(images), image_size)
        return torch.stack([prediction.scores for prediction in found])  # pyright: ignore[reportAttributeAccessIssue] — classifications

    def draw(self, batch: ClassificationBatch, path: Path) -> None:
        classes = self.network.classes
        save_image(draw_classification_sheet(batch.images, batch.targets, self.last_scores, classes), path)

    def finish_evaluation(self) -> tuple[dict[str, float], Report]:
        result = self._evaluator.compute()
        figures = {name: value for name, value in result.figures.items() if value is not None}
        report = Report(
            result.as_json(),
            str(result),
            tables={"confusion": result.sheet()},
            pictures={"confusion": draw_confusion_matrix(result.matrix, result.classes)},
        )
        return figures, report
