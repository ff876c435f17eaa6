"""What the writers of all formats share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
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
        reserved_names: names in lower case that do not stand for a class in this format.
    """

    title: ClassVar[str]
    stores_sizes: ClassVar[bool] = True
    reserved_names: ClassVar[Collection[str]] = ()

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
        reason = f"{self.title} has no such flag, so evaluations count them, too."
        return describe("Difficult objects written as ordinary ones", self.content.count("is_difficult"), reason)

    def describe_crowds(self) -> list[str]:
        """Says that crowds are left out, if there are any."""
        reason = f"{self.title} has none, so evaluations count detections on them as wrong."
        return describe("Crowds left out", self.content.count("is_crowd"), reason)

    def describe_areas(self) -> list[str]:
        """Says that areas are not written, if some are not those of boxes."""
        reason = f"{self.title} has boxes only, so COCO's sizes will be those of boxes."
        return describe("Objects whose outline and area are not written", self.content.count_outlines(), reason)

    def describe_ids(self) -> list[str]:
        """Says that ids are not written, if the source does not count from 1."""
        ids = [*(part.split.image_ids for part in self.content.splits.values()), self.content.category_ids]
        count = sum(len(part) for part in ids if not np.array_equal(part, np.arange(1, len(part) + 1)))
        return describe("Ids of images and classes not written", count, f"{self.title} has none.")


def describe(what: str, count: int, reason: str) -> list[str]:
    """Returns what is lost, how often and why, or nothing if ``count`` is 0."""
    return [f"{what}: {count:,}. {reason}"] if count else []
