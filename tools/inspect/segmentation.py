"""All that is looked at in segmentation data before a training: pixels of classes, their extent, copies, bad masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ...heads.predictions import IGNORED
from ...tasks.preprocessing import Preprocessing
from ...tasks.segmentation import SegmentationDataModule, SegmentationSplit
from ...tasks.segmentation.losses import Frequency, frequency_weights
from ...tasks.segmentation.masks import Labels
from ...tasks.segmentation.split import nothing_labelled
from ...tasks.segmentation.transforms import placed_labels
from ...tasks.statistics import ImageSize, Percentiles, image_sizes, percentiles, share
from .copies import Copies, Identified, copies, digest
from .splits import TRAINED_ON, faults, read_splits, stops

CELL = 8  # pixels of the input that a cell of LR-ASPP's finest map stands for, a side


@dataclass(frozen=True)
class ClassPixels:
    """What a split shows of a class.

    Attributes:
        name: of the class.
        pixels: how many it has in the masks.
        share: of the labelled pixels.
        images: how many show it.
        area: of the class in an image that shows it, in cells of 8×8 pixels of the network's input; by percentile of
            these images.
        width: of the stretch of one class, along the row or the column, whichever is shorter, in which half of the
            class's pixels of an image lie or in a shorter one; in cells, by percentile as ``area``. 0 where the input
            has no pixel left of the class.
    """

    name: str
    pixels: int
    share: float
    images: int
    area: Percentiles
    width: Percentiles


@dataclass(frozen=True)
class MaskedStatistics:
    """One split; what cannot be read is counted in ``images`` alone.

    Attributes:
        source: file or folder that says what belongs to the split.
        images: how many there are.
        classes: what is shown of each class.
        unlabelled: share of the pixels that count as no class.
        empty: file names of images without a labelled pixel.
        sizes: distinct ones of the masks, the commonest first.
        notes: what was mended or left out while reading, a sentence each.
    """

    source: str
    images: int
    classes: list[ClassPixels]
    unlabelled: float
    empty: list[str]
    sizes: list[ImageSize]
    notes: list[str]

    @property
    def absent(self) -> list[str]:
        """Classes that no image shows."""
        return [row.name for row in self.classes if not row.pixels]


@dataclass(frozen=True)
class SegmentationInspection:
    """What is known of the data.

    Attributes:
        input: how images become the network's input.
        splits: what was read, by "train", "val" and "test".
        not_read: why other splits were not.
        stops: where a training with the same options would stop, a sentence each.
        class_weights: of training, in the order of the classes, by the rules that ``PixelLoss`` knows; None where
            training was not read or has no labelled pixel.
        copies: equal pictures, labelled by the digests of their masks; None where pictures were not read.
        broken: by split, what is wrong with masks and, where they were read, with pictures, a sentence each.
    """

    input: Preprocessing
    splits: dict[str, MaskedStatistics]
    not_read: dict[str, str]
    stops: list[str]
    class_weights: dict[str, list[float]] | None
    copies: Copies | None
    broken: dict[str, list[str]]


class Masks(NamedTuple):
    """What reading the masks of a split tells, and their pictures; zeros and "" where they cannot be read.

    Attributes:
        sizes: ``[I, 2]``, height and width.
        pixels: ``[I, C + 1]``, of each class, the last of none.
        area: ``[I, C]``, pixels of the classes in the network's input.
        width: ``[I, C]``, see :func:`widths`.
        digests: of the pictures' pixels; all empty where pictures are not read.
        mask_digests: of the labels.
        faults: what is wrong with masks and pictures.
    """

    sizes: NDArray[np.int64]
    pixels: NDArray[np.int64]
    area: NDArray[np.int64]
    width: NDArray[np.int64]
    digests: list[str]
    mask_digests: list[str]
    faults: list[str]


def inspect_segmentation(
    data: SegmentationDataModule, preprocessing: Preprocessing, pictures: bool
) -> SegmentationInspection:
    """Reads all splits and looks at them.

    Args:
        data: whose masks are read; records that can be left out are, and named in the split's notes.
        preprocessing: how images become the input.
        pictures: whether to read every picture beside its mask; what is known of copies and sizes that differ comes
            from there.

    Raises:
        DataError: there is no split that can be read.
    """
    reading = read_splits(data)
    splits = reading.splits
    read = {name: read_masks(name, split, preprocessing, pictures) for name, split in splits.items()}
    broken = {name: found.faults for name, found in read.items()}
    return SegmentationInspection(
        input=preprocessing,
        splits={name: masked_statistics(split, read[name]) for name, split in splits.items()},
        not_read=reading.not_read,
        stops=[*stops(data, reading, broken), *without_labels(splits, read)],
        class_weights=class_weights(read["train"].pixels[:, :-1]) if "train" in read else None,
        copies=copies({name: identified(splits[name], found) for name, found in read.items()}) if pictures else None,
        broken=broken,
    )


def read_masks(name: str, split: SegmentationSplit, preprocessing: Preprocessing, pictures: bool) -> Masks:
    """Reads every mask of a split, and every picture if those are asked for, with a progress bar."""
    images, classes = len(split), len(split.classes)
    sizes, pixels = np.zeros((images, 2), np.int64), np.zeros((images, classes + 1), np.int64)
    area, width = np.zeros((images, classes), np.int64), np.zeros((images, classes), np.int64)
    digests, mask_digests = [""] * images, [""] * images

    def look(index: int) -> None:
        if pictures:
            image, labels = split.masked(index)
            digests[index], mask_digests[index] = digest(image), digest(labels)
        else:
            labels = split.labels(index)
        sizes[index] = labels.shape
        pixels[index] = np.bincount(labels.ravel(), minlength=IGNORED + 1)[[*range(classes), IGNORED]]
        shown = placed_labels(labels, preprocessing.geometry(*labels.shape), preprocessing.size)
        area[index], width[index] = areas_and_widths(shown, classes)

    return Masks(sizes, pixels, area, width, digests, mask_digests, faults(name, split, look))


def without_labels(splits: Mapping[str, SegmentationSplit], read: Mapping[str, Masks]) -> list[str]:
    """A sentence for each split of a training whose masks can be read, but show no class."""
    pixels = {name: read[name].pixels for name in TRAINED_ON if name in read}
    return [nothing_labelled(splits[name]) for name, of in pixels.items() if of.any() and not of[:, :-1].any()]


def areas_and_widths(labels: Labels, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of every class in ``labels`` ``[H, W]``, and the width of the class, ``[C]`` each.

    The width of a pixel is the length of the stretch of its class through it, along the row or the column, whichever is
    shorter; that of a class is the lower median of its pixels', 0 where there are none.
    """
    width = np.minimum(stretches(labels), stretches(labels.T).T)
    most = max(labels.shape) + 1
    counts = np.bincount((labels.astype(np.int32) * most + width).ravel(), minlength=(IGNORED + 1) * most)
    up_to = counts.reshape(IGNORED + 1, most)[:classes].cumsum(1)
    area = up_to[:, -1]
    return area, (2 * up_to >= area[:, None]).argmax(1)


def stretches(labels: Labels) -> NDArray[np.int32]:
    """For every pixel of ``labels`` ``[H, W]`` how many next to each other in its row have the same label."""
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    lengths = np.diff(np.flatnonzero(begins), append=labels.size).astype(np.int32)
    return np.repeat(lengths, lengths).reshape(labels.shape)


def masked_statistics(split: SegmentationSplit, read: Masks) -> MaskedStatistics:
    """Counts and measures what was ``read`` of a split."""
    whole = read.sizes.all(1)
    labelled, of_class = read.pixels[:, :-1].sum(1), read.pixels.sum(0)
    return MaskedStatistics(
        source=str(split.source),
        images=len(split),
        classes=[class_pixels(name, k, read) for k, name in enumerate(split.classes)],
        unlabelled=share(int(of_class[-1]), int(of_class.sum())),
        empty=[str(name) for name in split.names[whole & (labelled == 0)]],
        sizes=image_sizes(read.sizes[whole]),
        notes=list(split.notes),
    )


def class_pixels(name: str, label: int, read: Masks) -> ClassPixels:
    """Counts and measures one class."""
    pixels = read.pixels[:, label]
    shown = pixels > 0
    return ClassPixels(
        name=name,
        pixels=int(pixels.sum()),
        share=share(int(pixels.sum()), int(read.pixels[:, :-1].sum())),
        images=int(shown.sum()),
        area=percentiles(read.area[shown, label] / CELL**2),
        width=percentiles(read.width[shown, label] / CELL),
    )


def class_weights(pixels: NDArray[np.int64]) -> dict[str, list[float]] | None:
    """What :class:`PixelLoss` weighs classes of so many ``pixels`` ``[I, C]`` with, by rule; None without any."""
    if not pixels.any():
        return None
    return {rule: frequency_weights(rule, pixels).tolist() for rule in get_args(Frequency)}


def identified(split: SegmentationSplit, read: Masks) -> Identified:
    """What tells whether pictures of ``split`` are copies."""
    return Identified([str(name) for name in split.names], read.mask_digests, read.digests)
