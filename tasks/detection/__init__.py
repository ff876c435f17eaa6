"""Object detection: data in many formats, SSD's augmentation, evaluation, and the task."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .data import CocoDetection as CocoDetection
    from .data import DetectionDataModule as DetectionDataModule
    from .data import FolderDetection as FolderDetection
    from .data import VocDetection as VocDetection
    from .split import DetectionSplit as DetectionSplit
    from .split import ImageRecord as ImageRecord
    from .task import DetectionTask as DetectionTask
    from .transforms import Resize as Resize
    from .transforms import SSDAugmentation as SSDAugmentation
else:
    __getattr__, __dir__ = lazy_exports(__name__)
