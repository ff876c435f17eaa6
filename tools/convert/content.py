"""What a converted data set contains: the images and objects of each split, in arrays that all formats write from."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import UserError, format_name
from ...tasks.detection import DetectionSplit
from ...tasks.detection.formats.parsing.fields import FieldError, parse_name
from ...tasks.detection.objects import ObjectTable

Corners = NDArray[np.float64]


class SplitContent(NamedTuple):
    """Images and objects of one split.

    Attributes:
        split: the split as it was read.
        names: names of the written image files, without a folder.
        objects: all objects, crowds included, in the order of the images.
    """

    split: DetectionSplit
    names: Sequence[str]
    objects: ObjectTable

    @property
    def corners(self) -> Corners:
        """Boxes clipped to their images, ``[B, 4]`` as x1, y1, x2, y2 in pixels."""
        limits = np.tile(self.split.sizes[self.objects.images][:, ::-1], 2)
        return np.clip(get_corners(self.objects.boxes), 0, limits)

    def rows_of_images(self) -> Iterator[tuple[int, range]]:
        """Yields the index of each image, and the rows of its objects."""
        starts = np.searchsorted(self.objects.images, np.arange(len(self.split) + 1)).tolist()
        for index, (start, end) in enumerate(itertools.pairwise(starts)):
            yield index, range(start, end)


class Content(NamedTuple):
    """A data set to write.

    Attributes:
        splits: "train", "val" and "test", as far as they exist.
        classes: names of the classes, which all splits share.
        category_ids: ids of the classes in the source, ``[C]``.
    """

    splits: Mapping[str, SplitContent]
    classes: tuple[str, ...]
    category_ids: NDArray[np.int64]

    def count(self, flag: str) -> int:
        """Returns the number of objects whose ``flag`` is set: "is_crowd" or "is_difficult"."""
        return sum(int(getattr(part.objects, flag).sum()) for part in self.splits.values())

    def count_outlines(self) -> int:
        """Returns the number of objects whose area is not that of their box, because it is that of an outline."""
        return sum(
            int((~np.isclose(part.objects.areas, part.objects.boxes[:, 2:].prod(axis=1), rtol=1e-3)).sum())
            for part in self.splits.values()
        )


def get_corners(boxes: NDArray[np.float64]) -> Corners:
    """Converts x, y, width and height ``[B, 4]`` to x1, y1, x2, y2."""
    return np.concatenate((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), axis=1)


def collect_objects(split: DetectionSplit) -> ObjectTable:
    """Returns all objects of ``split`` as they are evaluated, in the order of its images.

    The ground truth has one flag for crowds and difficult objects. An object is difficult if training has it.
    """
    truth = split.ground_truth
    positions = np.full(len(truth.image_ids), -1, dtype=np.int64)
    positions[np.searchsorted(truth.image_ids, split.image_ids)] = np.arange(len(split))
    images = positions[truth.images]
    rows = np.flatnonzero(images >= 0)
    rows = rows[np.argsort(images[rows], kind="stable")]
    is_difficult = truth.is_crowd[rows] & is_trained_as_difficult(split, images[rows], rows)
    return ObjectTable(
        images=images[rows],
        labels=truth.categories[rows],
        boxes=truth.boxes[rows],
        areas=truth.areas[rows],
        is_crowd=truth.is_crowd[rows] & ~is_difficult,
        is_difficult=is_difficult,
    )


def is_trained_as_difficult(
    split: DetectionSplit, images: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Returns for ``rows`` of the ground truth whether ``split`` trains on each as a difficult object of its image."""
    limits = np.tile(split.sizes[images][:, ::-1], 2)
    boxes = np.clip(get_corners(split.ground_truth.boxes[rows]), 0, limits).astype(np.float32)  # as a split trains on
    columns = (x[split.difficult].tolist() for x in (split.owners, split.labels, split.boxes))
    known = {(image, label, *box) for image, label, box in zip(*columns, strict=True)}
    labels = split.ground_truth.categories[rows]
    keys = zip(images.tolist(), labels.tolist(), boxes.tolist(), strict=True)
    return np.array([(image, label, *box) in known for image, label, box in keys], dtype=bool)


def check_class_names(classes: Sequence[str], reserved: Collection[str]) -> None:
    """Raises UserError if a name would be read back differently, e.g. because it ends with a blank.

    Args:
        classes: the names.
        reserved: names in lower case that do not stand for a class in the format to write.
    """
    for name in classes:
        try:
            is_kept = parse_name(name) == name and name.lower() not in reserved
        except FieldError:
            is_kept = False
        if not is_kept:
            raise UserError(f"The class {format_name(name)!r} cannot be written; --classes can give it another name.")
