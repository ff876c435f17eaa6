"""Detection: data in COCO's or Pascal VOC's layout, SSD's augmentation, their figures, and the task for a network."""

from .annotations import Annotations, ImageRecord
from .data import CocoDetection, DetectionData, VocDetection
from .task import DetectionTask
from .transforms import Resize, SSDAugmentation

__all__ = [
    "Annotations",
    "CocoDetection",
    "DetectionData",
    "DetectionTask",
    "ImageRecord",
    "Resize",
    "SSDAugmentation",
    "VocDetection",
]
