"""Semantic segmentation: any backbone under LR-ASPP or R-ASPP, measured by IoU over the whole set."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from ...backbones.contract import Backbone
from ...errors import DataError
from ...heads.contract import HeadFactory
from ...heads.lraspp import LRASPP
from ...heads.predictions import IGNORED, Segmentation
from ..drawing import draw_confusion_matrix, draw_segmentation_sheet, save_image
from ..freezing import Epochs
from ..preprocessing import Preprocessing
from ..schedule import Poly, Schedule
from ..task import Report, Task
from .colours import class_colours
from .data import SegmentationBatch, SegmentationDataModule
from .inference import Inference
from .losses import PixelLoss
from .metrics import SegmentationEvaluator


class SegmentationTask(Task):
    """Trains a label map's network and measures IoU; see :class:`litmobile.tasks.task.Task` for the rest.

    Args:
        loss: what a training minimises; None takes the head's own, cross-entropy.
        inference: how an evaluation computes scores: windows, scales, mirror images.
    """

    role = "segmentation"
    monitor = "val/miou"
    data_class = SegmentationDataModule

    def __init__(
        self,
        backbone: Backbone,
        head: HeadFactory = LRASPP,
        preprocessing: Preprocessing = Preprocessing((512, 512), "pad"),  # noqa: B008 — frozen
        num_classes: int | None = None,
        feature_maps: list[str] | None = None,
        backbone_weights: str | None = None,
        weights: str | None = None,
        optimizer: OptimizerCallable = lambda parameters: torch.optim.SGD(
            parameters, lr=0.01, momentum=0.9, weight_decay=5e-4
        ),
        base_batch_size: int | None = None,
        warmup_steps: int = 500,
        schedule: Schedule | None = None,
        freeze_epochs: Epochs = 0,
        unfreeze_interval: int = 0,
        ema_decay: float | None = None,
        channels_last: bool = True,
        loss: PixelLoss | None = None,
        inference: Inference = Inference(),  # noqa: B008 — frozen
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
            schedule=schedule or Poly(),
            freeze_epochs=freeze_epochs,
            unfreeze_interval=unfreeze_interval,
            ema_decay=ema_decay,
            channels_last=channels_last,
        )
        self._loss = loss
        self._inference = inference
        self.last_scores = torch.empty(0)

    def on_fit_start(self) -> None:
        super().on_fit_start()
        if self._loss is not None:
            split = self._data().splits["train"]
            pixels = split.pixels() if self._loss.needs_pixels else None  # pyright: ignore[reportAttributeAccessIssue] — masked images
            self._loss.prepare(self.network.classes, self.device, pixels)

    def losses(self, batch: SegmentationBatch) -> dict[str, Tensor]:
        output = self.network(batch.images)
        return (self._loss or self.network.head.loss)(output, batch.targets)

    def start_evaluation(self, split: str) -> None:
        self._data()  # refuses what is no segmentation data
        self._evaluator = SegmentationEvaluator(self.network.classes, self.device)

    def evaluate(self, batch: SegmentationBatch) -> None:
        self.last_scores = torch.empty(0)  # those of two batches at once would take twice the memory
        scores = self._inference(self.network, batch.images)
        for of_one, truth in zip(scores, batch.truths, strict=True):
            self._evaluator.add(Segmentation(of_one).to_image(truth.geometry).labels, truth.labels)
        self.last_scores = scores

    def draw(self, batch: SegmentationBatch, path: Path) -> None:
        found = self.last_scores.max(1).indices
        for labels, truth in zip(found, batch.truths, strict=True):  # beside the picture there is nothing to be found
            labels[truth.geometry.rows :], labels[:, truth.geometry.columns :] = IGNORED, IGNORED
        classes = self.network.classes
        save_image(draw_segmentation_sheet(batch.images, batch.targets, found, classes, class_colours(classes)), path)

    def finish_evaluation(self) -> tuple[dict[str, float], Report]:
        self.last_scores = torch.empty(0)  # a training goes on without them
        result = self._evaluator.compute()
        if not result.matrix.any():
            self._nothing_measured()
        plain = self._inference == Inference()
        report = Report(
            result.as_json() if plain else {"inference": asdict(self._inference), **result.as_json()},
            str(result) if plain else f"Inference: {self._inference}\n\n{result}",
            tables={"confusion": result.sheet()},
            pictures={"confusion": draw_confusion_matrix(result.matrix, result.classes)},
        )
        return {name: 0.0 if math.isnan(value) else value for name, value in result.figures.items()}, report

    def _nothing_measured(self) -> None:
        """Says that no pixel has a class; a training goes on, since what it has learnt would be lost.

        Raises:
            DataError: there is nothing to do but to evaluate.
        """
        said = "No pixel of what is evaluated has a class: there is nothing to measure."
        if self.trainer.state.fn != TrainerFn.FITTING:
            raise DataError(said)
        if not self.trainer.sanity_checking:
            rank_zero_warn(said)
