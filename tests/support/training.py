"""A small training from the command line, and what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

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
#: words for ``litmobile fit``; the data's root and the run's folder are missing
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
#: the same for a classifier that trains in every way at once, on several sizes: 11, 5 and 2 images a step
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
    "--data=FolderClassification",
    "--data.batch_size=5",
    "--data.train_sizes=[32,48,64]",
    "--data.augmentation=CropAugmentation",
    "--data.augmentation.policy=TrivialAugment",
    "--data.augmentation.random_erasing=0.5",
    *_SMALL,
]
#: the same for label maps, with every term of the loss
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


def last(run: Path) -> dict[str, Any]:
    """The checkpoint that ``run`` goes on from."""
    return torch.load(checkpoint_path(run, "last"), weights_only=True)
