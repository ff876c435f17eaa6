"""What all formats share: a format finds its splits in a folder and reads each of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ....errors import DataError, format_count, format_name
from ...data.files import SPLIT_FOLDERS
from ...data.split import OnInvalid
from ..split import DetectionSplit, ImageRecord
from .listing import Listing, get_stem
from .parsing.class_lists import ClassList, find_class_list
from .parsing.fields import FieldError
from .parsing.geometry import Box
from .parsing.repairs import Repairs
from .parsing.sizes import measure_missing_sizes

Item = TypeVar("Item")
MAX_SHOWN_SPLITS = 6


class AnnotatedObject(NamedTuple):
    """An object in a file.

    Attributes:
        name: name of its class.
        box: x1, y1, x2, y2 in pixels; the first pixel of an image extends from 0 to 1.
        is_difficult: whether the evaluation ignores it.
        is_crowd: whether it is a group of objects, which training ignores as well.
    """

    name: str
    box: Box
    is_difficult: bool = False
    is_crowd: bool = False


class AnnotatedImage(NamedTuple):
    """An image and its objects.

    Attributes:
        name: file name relative to the folder of the images.
        objects: its objects.
        size: (height, width) in pixels; None for that of the image file.
        is_relative: whether boxes are fractions of the image's width and height, not pixels.
    """

    name: str
    objects: Sequence[AnnotatedObject]
    size: tuple[int, int] | None = None
    is_relative: bool = False


class Format(ABC):
    """A data set's folder in one format.

    Args:
        listing: the files of the folder.

    Attributes:
        name: name of the format, as users write it in ``--data.format``.
        title: name of the format in messages.
        splits: for the data set's own name of each split, where its annotations are; "" is a data set without splits.
        notes: sentences about what the folder names but does not contain.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    splits: dict[str, str]
    notes: tuple[str, ...] = ()

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

    def describe(self) -> str:
        """Returns the splits and where the classes are from, e.g. "train (9 files in labels); classes of data.yaml"."""
        shown = sorted(self.splits, key=lambda split: split not in SPLIT_FOLDERS)[:MAX_SHOWN_SPLITS]
        unnamed = "all images" if len(self.splits) == 1 else "images without a split"
        splits = ", ".join(f"{split or unnamed} ({self.describe_split(split)})" for split in shown)
        more = len(self.splits) - len(shown)
        return f"{splits}{f' and {more} more' if more else ''}; {self.describe_classes()}"

    def describe_split(self, split: str) -> str:
        """Returns where the annotations of a split are, and how many if that is known."""
        return self.splits[split]

    @abstractmethod
    def describe_classes(self) -> str:
        """Returns where the names of the classes are from."""

    def list_images(self) -> set[str]:
        """Returns the images of all splits, relative to the listed folder, if they are known before reading."""
        return set()


class RecordFormat(Format):
    """A format whose splits are read as :class:`AnnotatedImage`; all splits have the classes that occur in any.

    Attributes:
        class_list: the classes, if a file lists them.
    """

    class_list: ClassList | None = None

    def __init__(self, listing: Listing) -> None:
        super().__init__(listing)
        self._read: dict[str, tuple[list[AnnotatedImage], Repairs]] = {}

    @abstractmethod
    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        """Reads the images of a split; names are relative to the listed folder."""

    def _read_once(self, split: str) -> tuple[list[AnnotatedImage], Repairs]:
        if split not in self._read:
            repairs = Repairs(self.listing.root / self.splits[split])
            self._read[split] = self.read_images(split, repairs), repairs
        return self._read[split]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order of their list, or sorted."""
        if self.class_list is not None:
            return self.class_list.names
        images = (image for split in self.splits for image in self._read_once(split)[0])
        found = {thing.name for image in images for thing in image.objects}
        if not found:
            source = next(iter(self.splits.values()))
            raise DataError(f"{self.listing.root / source} has no objects, so there is nothing to learn.")
        return tuple(sorted(found))

    def check_class(self, name: str) -> str:
        """Returns ``name``, or raises FieldError if the class list lacks it."""
        if self.class_list is not None and name not in self.class_list.names:
            raise FieldError(f"the class {format_name(name)}, which {self.class_list.file} does not list")
        return name

    def describe_classes(self) -> str:
        return "classes of the objects" if self.class_list is None else f"classes of {self.class_list.file}"

    def read(self, split: str, on_invalid: OnInvalid) -> DetectionSplit:
        images, repairs = self._read_once(split)
        repairs.check("files or objects", on_invalid)
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
                scale_boxes(image, height, width),
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

    Attributes:
        suffix: suffix of the annotation files.
    """

    suffix: ClassVar[str]

    def __init__(self, listing: Listing, files: dict[str, list[str]]) -> None:
        super().__init__(listing)
        found = find_class_list(listing)
        self.class_list = found and found.without_background()
        self.files = files
        self.splits = {split: find_common_folder(names) for split, names in files.items()}

    @abstractmethod
    def read_file(self, file: Path, repairs: Repairs) -> tuple[AnnotatedImage, str | None]:
        """Reads an annotation file.

        Returns:
            The annotated image, and the file name that its file gives for it, which may be wrong.

        Raises:
            DataError: the file cannot be used.
            FieldError: a value in the file cannot be used.
        """

    def describe_split(self, split: str) -> str:
        return f"{format_count(len(self.files[split]), 'files')} in {self.splits[split]}"

    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        images: list[AnnotatedImage] = []
        for name in self.files[split]:
            try:
                image, named = self.read_file(self.listing.root / name, repairs)
                found = self.listing.find_image(name, named)
                if found is None:
                    raise FieldError(f"no image called {get_stem(name)}")
                images.append(image._replace(name=found))
            except FieldError as error:
                repairs.leave_out(f"{self.listing.root / name} has {error}")
            except DataError as error:
                repairs.leave_out(str(error).removesuffix("."))
        check_images_differ(images, repairs.source)
        count_undescribed(
            self.listing, images, {get_stem(name) for name in self.listing.annotations(self.suffix)}, repairs
        )
        return images


def parse_each(
    items: Iterable[Item], parse: Callable[[Item], AnnotatedObject | None], where: object, repairs: Repairs
) -> list[AnnotatedObject]:
    """Parses objects; one that cannot be used is left out with its reason.

    Args:
        items: what a file contains for each object.
        parse: returns the object, or None if it is left out and counted; raises FieldError if it cannot be used.
        where: the file, and the image if the file describes several, for messages.
        repairs: counts what is left out.
    """
    objects: list[AnnotatedObject] = []
    for number, item in enumerate(items, start=1):
        try:
            thing = parse(item)
        except FieldError as error:
            repairs.leave_out(f"{where}: object {number} has {error}")
            continue
        if thing is not None:
            objects.append(thing)
    return objects


def scale_boxes(image: AnnotatedImage, height: int, width: int) -> NDArray[np.float64]:
    """Returns the boxes ``[n, 4]`` of an image of ``height`` and ``width`` in pixels."""
    boxes = np.array([thing.box for thing in image.objects], dtype=np.float64).reshape(-1, 4)
    return boxes * (width, height, width, height) if image.is_relative else boxes


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


def count_undescribed(
    listing: Listing, images: Sequence[AnnotatedImage], described: Collection[str], repairs: Repairs
) -> None:
    """Counts the images in the folders of ``images`` that no annotation describes.

    Args:
        listing: the files of the data set.
        images: the images of a split.
        described: stems of the images that are described, also in other splits.
        repairs: gets the number.
    """
    folders = {image.name.rpartition("/")[0] for image in images}
    stems = {get_stem(image.name) for image in images} | set(described)
    beside = (name for name in listing.images if name.rpartition("/")[0] in folders)
    if count := sum(get_stem(name) not in stems for name in beside):
        repairs.count("images without annotations left out", count)


def check_images_differ(images: Sequence[AnnotatedImage], source: Path) -> None:
    """Raises DataError if an image is described twice."""
    for name, count in Counter(image.name for image in images).items():
        if count > 1:
            raise DataError(
                f"{source}: the image {format_name(name)} is described {count} times; keep one description."
            )
