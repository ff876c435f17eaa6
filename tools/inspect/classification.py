"""All that is looked at in classification data before a training: classes, sizes, copies, pictures that are broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.classification import ClassificationDataModule, ClassificationSplit
from ...tasks.preprocessing import Preprocessing
from ...tasks.statistics import ImageSize, Percentiles, image_sizes, percentiles, share
from .copies import Copies, Identified, copies, digest
from .splits import faults, read_splits, stops


@dataclass(frozen=True)
class ClassCount:
    """How many images a class has, and their share of the split."""

    name: str
    images: int
    share: float


@dataclass(frozen=True)
class PictureSizes:
    """Sizes in pixels of the pictures of a split that can be read.

    Attributes:
        sizes: distinct ones, the commonest first.
        width: by percentile, as height.
        height: see ``width``.
        enlarged: how many pictures are smaller than what they are resized to for the network, in width or height.
    """

    sizes: list[ImageSize]
    width: Percentiles
    height: Percentiles
    enlarged: int


@dataclass(frozen=True)
class LabelledStatistics:
    """One split.

    Attributes:
        source: file or folder that the labels come from.
        images: how many there are.
        classes: the same class by class.
        fewest: class that has the fewest.
        most: class that has the most.
        ratio: images of the latter by those of the former; None where that has none.
        pictures: their sizes; None where pictures were not read.
        notes: what was mended or left out while reading, a sentence each.
    """

    source: str
    images: int
    classes: list[ClassCount]
    fewest: str
    most: str
    ratio: float | None
    pictures: PictureSizes | None
    notes: list[str]


@dataclass(frozen=True)
class ClassificationInspection:
    """What is known of the data.

    Attributes:
        input: how images become the network's input.
        splits: what was read, by "train", "val" and "test".
        not_read: why other splits were not.
        stops: where a training with the same options would stop, a sentence each.
        copies: equal pictures; None where pictures were not read.
        broken: by split, what is wrong with pictures, a sentence each; None where pictures were not read.
    """

    input: Preprocessing
    splits: dict[str, LabelledStatistics]
    not_read: dict[str, str]
    stops: list[str]
    copies: Copies | None
    broken: dict[str, list[str]] | None


class Pictures(NamedTuple):
    """What reading the pictures of a split tells.

    Attributes:
        sizes: ``[I, 2]``, height and width; 0 for those that cannot be read.
        digests: of the pixels, equal for equal pictures; empty for those that cannot be read.
        faults: what is wrong with those.
    """

    sizes: NDArray[np.int64]
    digests: list[str]
    faults: list[str]


def inspect_classification(
    data: ClassificationDataModule, preprocessing: Preprocessing, pictures: bool
) -> ClassificationInspection:
    """Reads all splits and looks at them.

    Args:
        data: whose labels are read.
        preprocessing: how images become the input.
        pictures: whether to read every picture; what is known of sizes, copies and faults comes from there.

    Raises:
        DataError: there is no split that can be read.
    """
    reading = read_splits(data)
    splits = reading.splits
    read = {name: read_pictures(name, split) for name, split in splits.items()} if pictures else {}
    broken = {name: found.faults for name, found in read.items()} if pictures else None
    return ClassificationInspection(
        input=preprocessing,
        splits={name: labelled_statistics(split, read.get(name), preprocessing) for name, split in splits.items()},
        not_read=reading.not_read,
        stops=stops(data, reading, broken),
        copies=copies({name: identified(splits[name], found) for name, found in read.items()}) if pictures else None,
        broken=broken,
    )


def read_pictures(name: str, split: ClassificationSplit) -> Pictures:
    """Reads every picture of a split, with a progress bar."""
    sizes = np.zeros((len(split), 2), dtype=np.int64)
    digests = [""] * len(split)

    def look(index: int) -> None:
        image = split.image(index)
        sizes[index] = image.shape[:2]
        digests[index] = digest(image)

    return Pictures(sizes, digests, faults(name, split, look))


def identified(split: ClassificationSplit, read: Pictures) -> Identified:
    """What tells whether pictures of ``split`` are copies."""
    labels = [split.classes[label] for label in split.labels]
    return Identified([str(name) for name in split.names], labels, read.digests)


def labelled_statistics(
    split: ClassificationSplit, read: Pictures | None, preprocessing: Preprocessing
) -> LabelledStatistics:
    """Counts a split, and measures its pictures if they were ``read``."""
    counts = split.counts()
    fewest, most = int(counts.argmin()), int(counts.argmax())
    return LabelledStatistics(
        source=str(split.source),
        images=len(split),
        classes=[
            ClassCount(name, int(count), share(int(count), len(split)))
            for name, count in zip(split.classes, counts, strict=True)
        ],
        fewest=split.classes[fewest],
        most=split.classes[most],
        ratio=float(counts[most] / counts[fewest]) if counts[fewest] else None,
        pictures=None if read is None else picture_sizes(read.sizes[read.sizes.all(axis=1)], preprocessing),
        notes=list(split.notes),
    )


def picture_sizes(sizes: NDArray[np.int64], preprocessing: Preprocessing) -> PictureSizes:
    """Measures pictures of ``sizes`` ``[I, 2]``, height and width."""
    distinct = image_sizes(sizes)
    return PictureSizes(
        sizes=distinct,
        width=percentiles(sizes[:, 1]),
        height=percentiles(sizes[:, 0]),
        enlarged=sum(size.images for size in distinct if enlarges(preprocessing, size)),
    )


def enlarges(preprocessing: Preprocessing, size: ImageSize) -> bool:
    """Whether an image of this ``size`` gets more rows or columns than it has."""
    geometry = preprocessing.geometry(size.height, size.width)
    return geometry.rows > size.height or geometry.columns > size.width
