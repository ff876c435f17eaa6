"""Segmentation: images with masks, crops and losses, IoU over a whole set, and the task for a network."""

from .cityscapes import Cityscapes
from .data import SegmentationData
from .folders import CamVid, FolderSegmentation
from .inference import Inference
from .losses import PixelLoss
from .masked import MaskedImages
from .task import SegmentationTask
from .transforms import Resize, ScaleCropAugmentation
from .voc import VocSegmentation

__all__ = [
    "CamVid",
    "Cityscapes",
    "FolderSegmentation",
    "Inference",
    "MaskedImages",
    "PixelLoss",
    "Resize",
    "ScaleCropAugmentation",
    "SegmentationData",
    "SegmentationTask",
    "VocSegmentation",
]
