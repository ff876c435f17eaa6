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
        text = f"Difficult objects written as ordinary ones: {count:,}. {self.title} has no such flag, so evaluations"
        return [f"{text} count them, too."] if count else []

    def describe_crowds(self) -> list[str]:
        """Says that crowds are left out, if there are any."""
        count = self.content.count("is_crowd")
        text = f"Crowds left out: {count:,}. {self.title} has none, so evaluations count detections on them as wrong."
        return [text] if count else []

    def describe_areas(self) -> list[str]:
        """Says that areas are not written, if some are not those of boxes."""
        count = self.content.count_outlines()
        text = (
            f"Objects whose outline and area are not written: {count:,}. {self.title} has boxes only, so COCO's sizes"
        )
        return [f"{text} will be those of boxes."] if count else []

    def describe_ids(self) -> list[str]:
        """Says that ids are not written, if the source has its own."""
        parts = self.content.splits.values()
        images = sum(len(part.split) for part in parts)
        own_images = any(not np.array_equal(part.split.image_ids, np.arange(1, len(part.split) + 1)) for part in parts)
        own_classes = not np.array_equal(self.content.category_ids, np.arange(1, len(self.content.classes) + 1))
        text = (
            f"Ids not written: those of {images:,} images and {len(self.content.classes):,} classes. {self.title} has"
        )
        return [f"{text} none."] if own_images or own_classes else []
