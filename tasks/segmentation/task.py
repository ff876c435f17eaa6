"""Semantic segmentation: LR-ASPP or R-ASPP on any backbone, evaluated by IoU over the whole split."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ...backbones.contract import Backbone
from ...errors import DataError, TaskError
from ...heads.contract import HeadFactory
from ...heads.lraspp import LRASPP
from ...heads.predictions import IGNORED, ResizeGeometry, Segmentation, check_scores
from ..callbacks.evaluation import Report
from ..drawing import draw_confusion_matrix, draw_segmentation_sheet
from ..examples import Examples
from ..images import Image
from ..loaders.batches import check_labels, unpack_pair
from ..network import gather_by_image
from ..preprocessing import Preprocessing
from ..schedule import Poly, Schedule
from ..task import Task
from .batch import SegmentationBatch
from .colours import class_colours
from .data import SegmentationDataModule
from .evidence import SegmentationEvidence
from .examples import draw_examples
from .inference import Inference
from .losses import PixelLoss
from .metrics import SegmentationEvaluator
from .split import StoredMask


class SegmentationTask(Task):
    """Trains a network for semantic segmentation and evaluates IoU.

    Args:
        backbone: network that turns images into feature maps, e.g. MobileNetV3.
        head: segmentation head, LRASPP or RASPP.
        preprocessing: how images become the network's input, e.g. their size.
        optimizer: optimiser, e.g. torch.optim.AdamW; norms and biases get no weight decay.
        schedule: learning rate after the warm-up. Default: polynomial decay with power 0.9.
        warmup_steps: steps of linear warm-up, e.g. 500; at most a tenth of the run.
        loss: training loss, e.g. PixelLoss. Default: the head's cross-entropy.
        inference: how evaluations compute scores, e.g. with sliding windows, several scales or mirrored images.
    """

    role = "segmentation"
    monitor = "val/miou"
    data_class = SegmentationDataModule
    batch_class = SegmentationBatch

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = LRASPP,
        preprocessing: Preprocessing = Preprocessing((512, 512), "pad"),  # noqa: B008 — frozen
        optimizer: OptimizerCallable = lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=5e-4),
        schedule: Schedule | None = None,
        warmup_steps: int = 500,
        loss: PixelLoss | None = None,
        inference: Inference = Inference(),  # noqa: B008 — frozen
        **options: Any,
    ) -> None:
        super().__init__(backbone, head, preprocessing, optimizer, schedule or Poly(), warmup_steps, **options)
        self._loss = loss
        self._inference = inference

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self._loss is not None:
            pixels = self.data().splits["train"].count_pixels() if self._loss.needs_pixels else None
            self._loss.prepare(self.network.classes, self.device, pixels)

    def losses(self, batch: SegmentationBatch) -> dict[str, Tensor]:
        output = self.network(batch.images)
        return (self._loss or self.network.head.loss)(output, batch.targets)

    def convert_batch(self, batch: Any) -> SegmentationBatch:
        """Converts images and label maps ``[N, H, W]``, whose value 255 is ignored."""
        images, targets = unpack_pair(batch, type(self).__name__, "masks [N, H, W]")
        masks = torch.stack(tuple(targets)) if isinstance(targets, tuple | list) else targets
        height, width = images.shape[2:]
        if not isinstance(masks, Tensor) or tuple(masks.shape) != (len(images), height, width):
            found = list(masks.shape) if isinstance(masks, Tensor) else type(masks).__name__
            raise TaskError(f"Masks of your DataLoader must be [{len(images)}, {height}, {width}], not {found}.")
        geometry = ResizeGeometry(height, width, 0, 0, height, width)
        indices = self.number_images(images)
        return SegmentationBatch(images, masks, indices, tuple(StoredMask(mask, geometry) for mask in masks))

    def check_batch(self, batch: SegmentationBatch) -> None:
        super().check_batch(batch)
        check_labels(batch.targets, len(self.predictor.classes), is_mask=True)

    def start_evaluation(self, split: str) -> None:
        self._split = self.find_split(split)
        self.evaluator = SegmentationEvaluator(self.predictor.classes, self.device)

    def evaluate(self, batch: SegmentationBatch) -> Tensor:
        """Returns class indices ``[N, H, W]`` at the size of the input, 255 for padding.

        Raises:
            PredictionError: a score is NaN or infinite.
        """
        scores = self._inference(self.predictor, batch.images)
        highest, labels = scores.max(1)
        check_scores(highest)  # NaN where one of the scores is
        images = zip(batch.indices.tolist(), scores, labels, batch.truths, strict=True)
        for image, image_scores, image_labels, truth in images:
            predicted = Segmentation(image_scores).to_image(truth.geometry).labels
            self.evaluator.add(predicted, truth.labels, image)
            image_labels[truth.geometry.rows :], image_labels[:, truth.geometry.columns :] = IGNORED, IGNORED
        return labels

    def report(self) -> Report:
        result = self.evaluator.compute()
        if not result.matrix.any():
            self._report_no_labels()
        is_plain = self._inference == Inference()
        return Report(
            {name: 0.0 if math.isnan(value) else value for name, value in result.figures.items()},
            result.as_json() if is_plain else {"inference": asdict(self._inference), **result.as_json()},
            str(result) if is_plain else f"Inference: {self._inference}\n\n{result}",
            tables={"confusion": result.confusion_table()},
            images={"confusion": draw_confusion_matrix(result.matrix, result.classes)},
        )

    def _report_no_labels(self) -> None:
        """Reports that no evaluated pixel has a class; in training as a warning, so that training continues.

        Raises:
            DataError: the run only evaluates.
        """
        message = "No pixel of the evaluated images has a class, so there is nothing to measure."
        if self.trainer.state.fn != TrainerFn.FITTING:
            raise DataError(message)
        if not self.trainer.sanity_checking:
            rank_zero_warn(message)

    def evidence(self) -> SegmentationEvidence | None:
        return None if self._split is None else self.evaluator.evidence(self._split.names)

    def examples(self) -> Examples | None:
        candidates = gather_by_image(self.evaluator.examples.candidates)
        if self._split is None:
            return None
        return draw_examples(self._split, candidates) if self.trainer.is_global_zero else None

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"inference": asdict(self._inference)}

    def draw(self, batch: SegmentationBatch, predictions: Tensor) -> Image:
        classes = self.predictor.classes
        return draw_segmentation_sheet(batch.images, batch.targets, predictions, classes, class_colours(classes))
