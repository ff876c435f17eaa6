"""The data module of classification."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from ..data.module import DataModule
from ..data.split import TrainValSplit
from .batch import collate
from .split import ClassificationSplit
from .transforms import Augmentation, CropAugmentation, Resize


class ClassificationDataModule(DataModule[ClassificationSplit]):
    """Data for :class:`ClassificationTask`; a data set of your own implements :meth:`read`.

    Args:
        augmentation: augmentation of training images, e.g. ``ShiftAugmentation`` for images of 32×32 pixels. Default:
            random crops and flips.
    """

    role = "classification"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.augmentation = augmentation or CropAugmentation()


class HoldoutClassification(ClassificationDataModule):
    """Data that sets part of the training images aside for validation if it has no validation images.

    A data set implements :attr:`has_val` and :meth:`read_stored`.

    Args:
        val_fraction: fraction of every class that is taken from training for validation, e.g. 0.1.
        split_seed: seed that selects these images, e.g. 1 for another selection. It does not depend on ``seed``.
    """

    def __init__(self, *, val_fraction: float = 0.1, split_seed: int = 0, **options: Any) -> None:
        super().__init__(**options)
        self.holdout = TrainValSplit[ClassificationSplit](val_fraction, split_seed, self.verify_images)

    @property
    @abstractmethod
    def has_val(self) -> bool:
        """Whether the data set contains validation images."""

    @abstractmethod
    def read_stored(self, split: str) -> ClassificationSplit:
        """Reads "train", "val" or "test" as stored; "val" is requested only if :attr:`has_val`.

        Raises:
            DataError: the split is missing or invalid.
        """

    def read(self, split: str) -> ClassificationSplit:
        if split == "test" or self.has_val:
            return self.read_stored(split)
        return self.holdout.part(split, lambda: self.read_stored("train"))
