"""Detection: data in COCO's layout, SSD's augmentation, COCO's figures, and the task that ties them to a network."""

from .data import CocoDetection
from .task import DetectionTask
from .transforms import Resize, SSDAugmentation

__all__ = ["CocoDetection", "DetectionTask", "Resize", "SSDAugmentation"]
