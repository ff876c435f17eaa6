"""The classification task: training with mixup and distillation, evaluation by accuracy and calibration."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...backbones.contract import Backbone
from ...errors import TaskError
from ...heads.classifier import Classifier
from ...heads.contract import HeadFactory
from ...heads.predictions import check_scores
from ..callbacks.evaluation import Report
from ..drawing import confusion_table, draw_classification_sheet, draw_confusion_matrix
from ..examples import Examples, make_image_reader
from ..images import Image
from ..loaders.batches import check_labels, unpack_pair
from ..preprocessing import Preprocessing
from ..task import Task
from .batch import ClassificationBatch
from .data import ClassificationDataModule
from .evidence import ClassificationEvidence
from .examples import draw_examples
from .metrics import ClassificationEvaluator
from .mixing import Mixing
from .teachers import Teacher


class ClassificationTask(Task):
    """Trains a classifier and evaluates accuracy and calibration.

    Args:
        backbone: network that turns images into feature maps, e.g. ``MobileNetV3``.
        head: class of the classification head, e.g. ``Classifier``; built with the number of classes of the data.
        preprocessing: how images become the network's input.
        mixup: α of mixup, e.g. 0.2, see :class:`.mixing.Mixing`; 0 for none.
        cutmix: α of CutMix, e.g. 1.0; 0 for none.
        teacher: a trained classifier to distil from, e.g. ``RunTeacher``. None trains on the labels only.
    """

    role = "classification"
    monitor = "val/top1"
    data_class = ClassificationDataModule
    batch_class = ClassificationBatch

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = Classifier,
        preprocessing: Preprocessing = Preprocessing((224, 224), "crop"),  # noqa: B008 — frozen
        mixup: float = 0.0,
        cutmix: float = 0.0,
        teacher: Teacher | None = None,
        **options: Any,
    ) -> None:
        super().__init__(backbone, head, preprocessing, **options)
        self._mixing = Mixing(mixup, cutmix)
        self._teacher = teacher

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self._teacher is not None:
            self._teacher.prepare(self.network.classes, self.device)

    def losses(self, batch: ClassificationBatch) -> dict[str, Tensor]:
        images, targets = self._mixing(batch.images, batch.targets, len(self.network.classes))
        output = self.forward(images)
        terms = self.network.head.loss(output, targets)
        if self._teacher is None:
            return terms
        return self._teacher.add_distillation(terms, output, self._teacher.predict(images))

    def convert_batch(self, batch: Any) -> ClassificationBatch:
        """Converts images and class indices ``[N]``, as torchvision's data sets yield them."""
        images, labels = unpack_pair(batch, type(self).__name__, "labels [N]")
        if not isinstance(labels, Tensor) or tuple(labels.shape) != (len(images),):
            found = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
            raise TaskError(f"Labels of your DataLoader must be a tensor [{len(images)}], not {found}.")
        return ClassificationBatch(images, labels, self.number_images(images))

    def check_batch(self, batch: ClassificationBatch) -> None:
        super().check_batch(batch)
        check_labels(batch.targets, len(self.predictor.classes))

    def start_evaluation(self, split: str) -> None:
        self._split = self.find_split(split)
        self.evaluator = ClassificationEvaluator(self.predictor.classes, self.device)

    def evaluate(self, batch: ClassificationBatch) -> Tensor:
        """Returns the scores ``[N, C]``.

        Raises:
            PredictionError: a score is NaN or infinite.
        """
        image_size = (batch.images.shape[2], batch.images.shape[3])
        predictions: Any = self.predictor.decode(self.predictor(batch.images), image_size)
        scores = torch.stack([prediction.scores for prediction in predictions])
        check_scores(scores)
        self.evaluator.add(scores, batch.targets, batch.indices)
        return scores

    def report(self) -> Report:
        result = self.evaluator.compute()
        return Report(
            {name: value for name, value in result.figures.items() if value is not None},
            result.as_json(),
            str(result),
            tables={"confusion": confusion_table(result.matrix, result.classes)},
            images={"confusion": draw_confusion_matrix(result.matrix, result.classes)},
        )

    def evidence(self) -> ClassificationEvidence | None:
        return None if self._split is None else self.evaluator.evidence(self._split.names)

    def examples(self) -> Examples | None:
        evidence = self.evidence()
        if evidence is None or not self.trainer.is_global_zero:
            return None
        return draw_examples(evidence, make_image_reader(self._split))

    def draw(self, batch: ClassificationBatch, predictions: Tensor) -> Image:
        return draw_classification_sheet(batch.images, batch.targets, predictions, self.predictor.classes)
