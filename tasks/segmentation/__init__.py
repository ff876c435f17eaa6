"""Segmentation: the task, data sets, augmentation, losses, inference and metrics."""

from typing import TYPE_CHECKING

from ...lazy_exports import lazy_exports

if TYPE_CHECKING:
    from .data import SegmentationDataModule as SegmentationDataModule
    from .data_sets.cityscapes import Cityscapes as Cityscapes
    from .data_sets.folders import CamVid as CamVid
    from .data_sets.folders import FolderSegmentation as FolderSegmentation
    from .data_sets.voc import VocSegmentation as VocSegmentation
    from .inference import Inference as Inference
    from .losses import PixelLoss as PixelLoss
    from .split import SegmentationSplit as SegmentationSplit
    from .task import SegmentationTask as SegmentationTask
    from .transforms import Resize as Resize
    from .transforms import ScaleCropAugmentation as ScaleCropAugmentation
else:
    __getattr__, __dir__ = lazy_exports(__name__)
