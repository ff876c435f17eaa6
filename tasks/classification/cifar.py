"""CIFAR-10 and CIFAR-100 as data to train on."""

from __future__ import annotations

from pathlib import Path

from ..split import Broken
from .cifar_files import Labels, read_cifar
from .data import HoldoutData
from .labelled import LabelledImages
from .transforms import Augmentation


class CifarClassification(HoldoutData):
    """CIFAR-10 or CIFAR-100 in their binary or Python files; validates on a share of training's images.

    ``litmobile test`` reads the published test set, 10,000 images of 32×32.

    Args:
        root: cifar-10-batches-bin, cifar-10-batches-py, cifar-100-binary or cifar-100-python, a folder that holds one
            of these, or an archive as published, which is read as it is.
        labels: "fine" or, of CIFAR-100, the 20 "coarse" classes.
        val_share: share of every class that is split off for validation.
        split_seed: what decides which images these are; the same for every run unless it is given.
        batch_size: see :class:`.data.ClassificationData`, as for the rest.
        workers: processes that read and augment.
        augmentation: while training; CIFAR's own is :class:`.transforms.ShiftAugmentation`.
        broken: of no effect: a damaged file is an error, and pixels cannot be told to be broken.
        seed: of the order and the augmentation.
        sizes: sides of square inputs to train on in turn.

    Raises:
        DataError: in ``setup``, if the data is not there or damaged.
    """

    def __init__(
        self,
        root: str,
        labels: Labels = "fine",
        val_share: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__(
            val_share=val_share,
            split_seed=split_seed,
            batch_size=batch_size,
            workers=workers,
            augmentation=augmentation,
            broken=broken,
            seed=seed,
            sizes=sizes,
        )
        if labels not in ("fine", "coarse"):
            raise ValueError(f"labels must be fine or coarse, not {labels!r}.")
        self.root = Path(root).expanduser()
        self.labels: Labels = labels

    @property
    def has_val(self) -> bool:
        return False

    def stored(self, split: str) -> LabelledImages:
        return read_cifar(self.root, split, self.labels)
