"""What all formats share: a format finds its splits in a folder and reads each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np

from ....errors import DataError, format_name
from ...data.split import OnInvalid
from ..split import DetectionSplit, ImageRecord
from .fields import FieldError
from .listing import Listing, get_stem
from .repairs import Repairs
from .sizes import measure_missing_sizes


class AnnotatedObject(NamedTuple):
    """An object in a file.

    Attributes:
        name: name of its class.
        box: x1, y1, x2, y2 in pixels; the first pixel of an image extends from 0 to 1.
        is_difficult: whether the evaluation ignores it.
        is_crowd: whether it is a group of objects, which training ignores as well.
    """

    name: str
    box: tuple[float, float, float, float]
    is_difficult: bool = False
    is_crowd: bool = False


class AnnotatedImage(NamedTuple):
    """An image and its objects.

    Attributes:
        name: file name relative to the folder of the images.
        objects: its objects.
        size: (height, width) in pixels; None for that of the image file.
    """

    name: str
    objects: Sequence[AnnotatedObject]
    size: tuple[int, int] | None = None


class Format(ABC):
    """A data set's folder in one format.

    Args:
        listing: the files of the folder.

    Attributes:
        name: name of the format, as users write it in ``--data.format``.
        title: name of the format in messages.
        splits: for the data set's own name of each split, where its annotations are; "" is a data set without splits.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    splits: dict[str, str]

    def __init__(self, listing: Listing) -> None:
        self.listing = listing

    @classmethod
    @abstractmethod
    def recognise(cls, listing: Listing) -> Self | None:
        """Returns the format if the folder has files in it, else None.

        Raises:
            DataError: files in this format contradict each other.
        """

    @abstractmethod
    def read(self, split: str, on_invalid: OnInvalid) -> DetectionSplit:
        """Reads one of ``splits``.

        Args:
            split: the data set's own name of the split.
            on_invalid: "skip" leaves out what cannot be used, with a note.

        Raises:
            DataError: a file cannot be used.
        """


class RecordFormat(Format):
    """A format whose splits are read as :class:`AnnotatedImage`; all splits have the classes that occur in any.

    Attributes:
        class_names: names of the classes, if a file lists them.
    """

    class_names: tuple[str, ...] | None = None

    @abstractmethod
    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        """Reads the images of a split; names are relative to the listed folder."""

    @cached_property
    def _images(self) -> dict[str, tuple[list[AnnotatedImage], Repairs]]:
        images: dict[str, tuple[list[AnnotatedImage], Repairs]] = {}
        for split, source in self.splits.items():
            repairs = Repairs(self.listing.root / source)
            images[split] = self.read_images(split, repairs), repairs
        return images

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their file, or sorted."""
        if self.class_names is not None:
            return self.class_names
        found = {thing.name for images, _ in self._images.values() for image in images for thing in image.objects}
        if not found:
            source = next(iter(self.splits.values()))
            raise DataError(f"{self.listing.root / source} has no objects, so there is nothing to learn.")
        return tuple(sorted(found))

    def read(self, split: str, on_invalid: OnInvalid) -> DetectionSplit:
        images, repairs = self._images[split]
        repairs.check("files", on_invalid)
        source, root = self.listing.root / self.splits[split], self.listing.root
        if not images:
            raise DataError(f"{source} contains no images.")
        sizes = np.array([image.size or (0, 0) for image in images], dtype=np.int64)
        names = np.array([image.name for image in images])
        sizes = measure_missing_sizes(sizes, names, root, repairs, on_invalid)
        labels = {name: label for label, name in enumerate(self.classes)}
        records = [
            ImageRecord(
                image.name,
                (int(height), int(width)),
                [thing.box for thing in image.objects],
                [labels[thing.name] for thing in image.objects],
                [thing.is_difficult for thing in image.objects],
                [thing.is_crowd for thing in image.objects],
            )
            for image, (height, width) in zip(images, sizes, strict=True)
        ]
        return DetectionSplit.from_records(source, root, self.classes, records, repairs.notes, on_invalid)


class FilePerImageFormat(RecordFormat):
    """A format with one annotation file for each image.

    Args:
        listing: the files of the folder.
        files: annotation files of each split, relative to the folder.
    """

    def __init__(self, listing: Listing, files: dict[str, list[str]]) -> None:
        super().__init__(listing)
        self.files = files
        self.splits = {split: find_common_folder(names) for split, names in files.items()}

    @abstractmethod
    def read_file(self, file: Path) -> tuple[AnnotatedImage, str | None]:
        """Reads an annotation file; the image's name is that which the file gives, which may be wrong.

        Raises:
            DataError: the file cannot be used.
            FieldError: a value in the file cannot be used.
        """

    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        images: list[AnnotatedImage] = []
        for name in self.files[split]:
            try:
                image, named = self.read_file(self.listing.root / name)
                found = self.listing.find_image(name, named)
                if found is None:
                    raise FieldError(f"no image called {get_stem(name)}")
                images.append(image._replace(name=found))
            except FieldError as error:
                repairs.leave_out(f"{self.listing.root / name} has {error}")
            except DataError as error:
                repairs.leave_out(str(error).removesuffix("."))
        check_images_differ(images, repairs.source)
        return images


def group_by_split(listing: Listing, names: Sequence[str]) -> dict[str, list[str]]:
    """Groups annotation files by the split that their path names."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[listing.split_of(name)].append(name)
    return dict(groups)


def find_common_folder(names: Sequence[str]) -> str:
    """Returns the folder that contains all files ``names``, relative to the same folder as these."""
    first, last = min(names).split("/")[:-1], max(names).split("/")[:-1]
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return "/".join(first[:shared]) or "."


def check_images_differ(images: Sequence[AnnotatedImage], source: Path) -> None:
    """Raises DataError if two annotation files describe one image."""
    for name, count in Counter(image.name for image in images).items():
        if count > 1:
            raise DataError(f"{source}: {count} annotation files describe the image {format_name(name)}; keep one.")
