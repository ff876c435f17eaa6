"""Segmentation: the task, data sets, augmentation, losses, inference and metrics."""

from .cityscapes import Cityscapes
from .data import SegmentationDataModule
from .folders import CamVid, FolderSegmentation
from .inference import Inference
from .losses import PixelLoss
from .split import SegmentationSplit
from .task import SegmentationTask
from .transforms import Resize, ScaleCropAugmentation
from .voc import VocSegmentation

__all__ = [
    "CamVid",
    "Cityscapes",
    "FolderSegmentation",
    "Inference",
    "PixelLoss",
    "Resize",
    "ScaleCropAugmentation",
    "SegmentationDataModule",
    "SegmentationSplit",
    "SegmentationTask",
    "VocSegmentation",
]
