"""CIFAR-10 and CIFAR-100 as data to train on."""

from __future__ import annotations

from pathlib import Path

from ...errors import UserError
from ..split import OnInvalid
from .cifar_files import Labels, read_cifar
from .data import HoldoutClassification
from .split import ClassificationSplit
from .transforms import Augmentation


class CifarClassification(HoldoutClassification):
    """CIFAR-10 or CIFAR-100 in their binary or Python files; validates on a share of training's images.

    ``litmobile test`` reads the published test set, 10,000 images of 32×32.

    Args:
        root: cifar-10-batches-bin, cifar-10-batches-py, cifar-100-binary or cifar-100-python, a folder that holds one
            of these, or an archive as published, which is read as it is.
        labels: "fine" or, of CIFAR-100, the 20 "coarse" classes.
        val_fraction: share of every class that is split off for validation.
        split_seed: what decides which images these are; the same for every run unless it is given.
        batch_size: see :class:`.data.ClassificationDataModule`, as for the rest.
        num_workers: processes that read and augment.
        augmentation: while training; CIFAR's own is :class:`.transforms.ShiftAugmentation`.
        on_invalid: of no effect: a damaged file is an error, and pixels cannot be told to be broken.
        seed: of the order and the augmentation.
        train_sizes: sides of square inputs to train on in turn.

    Raises:
        DataError: in ``setup``, if the data is not there or damaged.
    """

    def __init__(
        self,
        root: str,
        labels: Labels = "fine",
        val_fraction: float = 0.1,
        split_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
        train_sizes: list[int] | None = None,
    ) -> None:
        super().__init__(
            val_fraction=val_fraction,
            split_seed=split_seed,
            batch_size=batch_size,
            num_workers=num_workers,
            augmentation=augmentation,
            on_invalid=on_invalid,
            seed=seed,
            train_sizes=train_sizes,
        )
        if labels not in ("fine", "coarse"):
            raise UserError(f"labels must be fine or coarse, not {labels!r}.")
        self.root = Path(root).expanduser()
        self.labels: Labels = labels

    @property
    def has_val(self) -> bool:
        return False

    def stored(self, split: str) -> ClassificationSplit:
        return read_cifar(self.root, split, self.labels)
