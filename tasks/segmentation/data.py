"""The data module of segmentation."""

from __future__ import annotations

from typing import Any

from ...errors import UserError
from ..data.module import DataModule
from .batch import collate
from .split import SegmentationSplit, check_some_images
from .transforms import Augmentation, Resize, ScaleCropAugmentation


class SegmentationDataModule(DataModule[SegmentationSplit]):
    """Data for :class:`SegmentationTask`; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images per step and process, e.g. 16.
        augmentation: augmentation of training images. Default: ``ScaleCropAugmentation()``, random crops at half to
            twice the size, and flips.

    Raises:
        UserError: ``train_sizes`` is given, but ``augmentation.crop`` fixes the size.
    """

    role = "segmentation"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, batch_size: int = 16, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(batch_size=batch_size, **options)
        self.augmentation = augmentation or ScaleCropAugmentation()
        if self.train_sizes is not None and getattr(self.augmentation, "crop", None) is not None:
            raise UserError("augmentation.crop fixes the size that train_sizes changes; set only one of them.")

    def setup(self, stage: str) -> None:
        super().setup(stage)
        for split in self.splits.values():
            check_some_images(split)
