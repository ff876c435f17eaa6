"""Segmentation: images with masks, crops and losses, IoU over a whole set, and the task for a network."""

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
