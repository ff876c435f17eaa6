"""Options for small trainings on the command line, and helpers that read what a training wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from litmobile.tasks.run import checkpoint_path

_SMALL = [
    "--model.backbone=MobileNetV2",
    "--model.backbone.width=0.35",
    "--model.backbone.norm_momentum=0.1",
    "--model.ema_decay=0.99",
    "--data.num_workers=1",
    "--trainer.max_epochs=3",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]
#: options of ``litmobile fit``; the data's root and the run's folder are added by each test
SMALL = [
    "--model=DetectionTask",
    "--model.preprocessing.size=[64,64]",
    "--data=CocoDetection",
    "--data.train=train",
    "--data.val=val",
    "--data.batch_size=2",
    "--data.augmentation=SSDAugmentation",
    "--data.augmentation.photometric=true",
    *_SMALL,
]
#: the same for a classifier with every training option, at several sizes: 11, 5 and 2 images a step
SMALL_CLASSIFIER = [
    "--model=ClassificationTask",
    "--model.preprocessing.size=[48,48]",
    "--model.optimizer=SGD",
    "--model.optimizer.lr=0.01",
    "--model.head=Classifier",
    "--model.head.loss=binary",
    "--model.head.label_smoothing=0.1",
    "--model.mixup=0.2",
    "--model.cutmix=1.0",
    "--model.freeze_epochs=1",
    "--model.unfreeze_interval=1",
    "--model.train_norms=true",
    "--data=FolderClassification",
    "--data.batch_size=5",
    "--data.train_sizes=[32,48,64]",
    "--data.augmentation=CropAugmentation",
    "--data.augmentation.policy=TrivialAugment",
    "--data.augmentation.random_erasing=0.5",
    *_SMALL,
]
#: the same for a segmenter, with every term of the loss
SMALL_SEGMENTER = [
    "--model=SegmentationTask",
    "--model.preprocessing.size=[48,64]",
    "--model.optimizer=SGD",
    "--model.optimizer.lr=0.02",
    "--model.loss=PixelLoss",
    "--model.loss.class_weights=median_frequency",
    "--model.loss.ohem_threshold=0.9",
    "--model.loss.dice=0.5",
    "--model.loss.lovasz=0.5",
    "--data=FolderSegmentation",
    "--data.batch_size=2",
    "--data.augmentation=ScaleCropAugmentation",
    *_SMALL,
]


def load_last_checkpoint(run: Path) -> dict[str, Any]:
    """Load the checkpoint that ``run`` resumes from."""
    return torch.load(checkpoint_path(run, "last"), weights_only=True)


class RecordedStep(NamedTuple):
    """Side of a step's input, and the indices of its images."""

    epoch: int
    side: int
    images: list[int]


class Recorder(Callback):
    """Write the steps of a training and the final parameters into ``folder``, one file for each process."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.steps: list[RecordedStep] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.steps.append(RecordedStep(trainer.current_epoch, batch.images.shape[-1], batch.indices.tolist()))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        (self.folder / f"{trainer.global_rank}.json").write_text(json.dumps(self.steps))
        torch.save(dict(pl_module.named_parameters()), self.folder / f"{trainer.global_rank}.pt")


def read_steps(folder: Path, rank: int) -> list[RecordedStep]:
    """Read the steps that process ``rank`` wrote."""
    return [RecordedStep(*step) for step in json.loads((folder / f"{rank}.json").read_text())]


def read_average_precision(run: Path) -> float:
    """Return COCO's AP of the last validation of a detector."""
    return json.loads((run / "val.json").read_text())["figures"]["AP"]
