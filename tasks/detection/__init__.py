"""Object detection: data in COCO's or Pascal VOC's layout, SSD's augmentation, evaluation, and the task."""

from .data import CocoDetection, DetectionDataModule, VocDetection
from .split import DetectionSplit, ImageRecord
from .task import DetectionTask
from .transforms import Resize, SSDAugmentation

__all__ = [
    "CocoDetection",
    "DetectionDataModule",
    "DetectionSplit",
    "DetectionTask",
    "ImageRecord",
    "Resize",
    "SSDAugmentation",
    "VocDetection",
]
