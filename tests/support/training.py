"""A small training from the command line, and what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from litmobile.tasks.run import checkpoint

#: words for ``litmobile fit``; the data's root and the run's folder are missing
SMALL = [
    "--model=DetectionTask",
    "--model.backbone=MobileNetV2",
    "--model.backbone.width=0.35",
    "--model.backbone.norm_momentum=0.1",
    "--model.preprocessing.size=[64,64]",
    "--model.average_decay=0.99",
    "--data=CocoDetection",
    "--data.train=train",
    "--data.val=val",
    "--data.batch_size=2",
    "--data.workers=1",
    "--data.augmentation=SSDAugmentation",
    "--data.augmentation.photometric=true",
    "--trainer.max_epochs=3",
    "--trainer.accelerator=cpu",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


def last(run: Path) -> dict[str, Any]:
    """The checkpoint that ``run`` goes on from."""
    return torch.load(checkpoint(run, "last"), weights_only=True)
