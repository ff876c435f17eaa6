"""CIFAR-10 and CIFAR-100 as data to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import UserError
from .cifar_files import Labels, read_cifar
from .data import HoldoutClassification
from .split import ClassificationSplit


class CifarClassification(HoldoutClassification):
    """CIFAR-10 or CIFAR-100 in their binary or Python files; validates on a share of training's images.

    ``litmobile test`` reads the published test set, 10,000 images of 32×32.

    Args:
        root: cifar-10-batches-bin, cifar-10-batches-py, cifar-100-binary or cifar-100-python, a folder that holds one
            of these, or an archive as published, which is read as it is.
        labels: "fine" or, of CIFAR-100, the 20 "coarse" classes.

    Raises:
        DataError: in ``setup``, if the data is not there or damaged.
    """

    def __init__(
        self,
        root: str,
        labels: Labels = "fine",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if labels not in ("fine", "coarse"):
            raise UserError(f"labels must be fine or coarse, not {labels!r}.")
        self.root = Path(root).expanduser()
        self.labels: Labels = labels

    @property
    def has_val(self) -> bool:
        return False

    def read_stored(self, split: str) -> ClassificationSplit:
        return read_cifar(self.root, split, self.labels)
