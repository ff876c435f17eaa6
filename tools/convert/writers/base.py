"""What the writers of all formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..content import Content


class Writer(ABC):
    """Writes the annotations of a data set in one format, and says what the format cannot hold.

    Args:
        folder: folder of the written data set; exists.
        content: the data set.

    Attributes:
        title: name of the format in messages.
        stores_sizes: whether the annotations contain the size of each image, which tells how it is turned.
    """

    title: ClassVar[str]
    stores_sizes: ClassVar[bool] = True

    def __init__(self, folder: Path, content: Content) -> None:
        self.folder = folder
        self.content = content

    @classmethod
    @abstractmethod
    def image_folder(cls, split: str) -> str:
        """Returns the folder of the images of a split, relative to the data set's."""

    @abstractmethod
    def write(self) -> None:
        """Writes all annotation files."""

    @abstractmethod
    def describe_losses(self) -> list[str]:
        """Returns one sentence for each kind of content that the format cannot hold and the data set has."""

    def describe_difficult(self) -> list[str]:
        """Says that difficult objects become ordinary ones, if there are any."""
        count = self.content.count("is_difficult")
        text = f"{count:,} difficult objects are written as ordinary ones, which evaluations count, too"
        return [f"{text}: {self.title} has no such flag."] if count else []

    def describe_crowds(self) -> list[str]:
        """Says that crowds are left out, if there are any."""
        count = self.content.count("is_crowd")
        text = f"{count:,} crowds are left out, so evaluations count detections on them as wrong"
        return [f"{text}: {self.title} has no crowds."] if count else []

    def describe_areas(self) -> list[str]:
        """Says that areas are not written, if some are not those of boxes."""
        count = self.content.count_outlines()
        text = f"Outlines and areas of {count:,} objects are not written, so COCO's sizes will be those of their boxes"
        return [f"{text}: {self.title} has boxes only."] if count else []

    def describe_ids(self) -> list[str]:
        """Says that ids are not written, if the source has its own."""
        parts = self.content.splits.values()
        images = sum(len(part.split) for part in parts)
        own_images = any(not np.array_equal(part.split.image_ids, np.arange(1, len(part.split) + 1)) for part in parts)
        own_classes = not np.array_equal(self.content.category_ids, np.arange(1, len(self.content.classes) + 1))
        if not own_images and not own_classes:
            return []
        return [
            f"The ids of {images:,} images and {len(self.content.classes):,} classes are not written: {self.title} has "
            "no ids."
        ]
