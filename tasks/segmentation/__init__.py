"""Segmentation: the task, data sets, augmentation, losses, inference and metrics."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .cityscapes import Cityscapes as Cityscapes
    from .data import SegmentationDataModule as SegmentationDataModule
    from .folders import CamVid as CamVid
    from .folders import FolderSegmentation as FolderSegmentation
    from .inference import Inference as Inference
    from .losses import PixelLoss as PixelLoss
    from .split import SegmentationSplit as SegmentationSplit
    from .task import SegmentationTask as SegmentationTask
    from .transforms import Resize as Resize
    from .transforms import ScaleCropAugmentation as ScaleCropAugmentation
    from .voc import VocSegmentation as VocSegmentation
else:
    __getattr__, __dir__ = lazy_exports(__name__)
