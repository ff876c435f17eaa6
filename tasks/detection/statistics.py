"""What a split holds: its objects, their sizes and shapes where the network sees them, and what is there twice."""

from __future__ import annotations

import filecmp
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..preprocessing import Preprocessing
from ..statistics import ImageSize, Percentiles, image_sizes, percentiles, share
from .split import DetectionSplit
from .transforms import Boxes, iou

#: areas in pixels of the picture from which COCO calls an object medium, and large
MEDIUM, LARGE = 32**2, 96**2
SAME = 0.9  # IoU of boxes that hold the same object


@dataclass(frozen=True)
class ObjectStatistics:
    """Objects of one class, or all.

    Attributes:
        name: of the class.
        objects: how many there are.
        share: of all objects of the split.
        images: on how many images there are some.
        difficult: how many of them evaluation overlooks.
        small: share with a box of less than 32² pixels of the picture.
        medium: share between.
        large: share with a box of 96² pixels and more.
        width: in pixels of the network's input, as height.
        height: see ``width``.
        size: √(width·height).
        aspect: width by height, of those that are not below a pixel.
    """

    name: str
    objects: int
    share: float
    images: int
    difficult: int
    small: float
    medium: float
    large: float
    width: Percentiles
    height: Percentiles
    size: Percentiles
    aspect: Percentiles


@dataclass(frozen=True)
class Duplicate:
    """Two objects of one class that are hardly two: boxes x1, y1, x2, y2 in pixels of the picture, and their IoU."""

    image: str
    name: str
    box: list[float]
    other: list[float]
    iou: float


@dataclass(frozen=True)
class SplitStatistics:
    """One split.

    Attributes:
        source: file or folder that the objects come from.
        images: how many there are.
        empty: images without objects.
        objects_an_image: on average.
        most_objects: of an image.
        image_sizes: the commonest first.
        image_aspect: width by height of the images.
        below_a_pixel: objects that training leaves out, because they are less than a pixel wide or high in the input.
        overall: all objects.
        classes: the same class by class.
        duplicates: objects that are there twice.
        notes: what was mended or left out while reading, a sentence each.
    """

    source: str
    images: int
    empty: int
    objects_an_image: float
    most_objects: int
    image_sizes: list[ImageSize]
    image_aspect: Percentiles
    below_a_pixel: int
    overall: ObjectStatistics
    classes: list[ObjectStatistics]
    duplicates: list[Duplicate]
    notes: list[str]


@dataclass(frozen=True)
class SharedPicture:
    """A picture that two splits have under one name."""

    name: str
    splits: tuple[str, str]


def statistics(annotations: DetectionSplit, preprocessing: Preprocessing) -> SplitStatistics:
    """Counts and measures a split, its boxes as ``preprocessing`` lays them into the network's input."""
    counts = np.diff(annotations.starts)
    boxes = input_boxes(annotations, preprocessing)
    every = np.ones(len(boxes), dtype=bool)
    sizes = annotations.sizes[(annotations.sizes > 0).all(1)]  # files may say anything
    return SplitStatistics(
        source=str(annotations.source),
        images=len(annotations),
        empty=int((counts == 0).sum()),
        objects_an_image=share(len(boxes), len(annotations)),
        most_objects=int(counts.max(initial=0)),
        image_sizes=image_sizes(annotations.sizes),
        image_aspect=percentiles(sizes[:, 1] / sizes[:, 0]),
        below_a_pixel=int((~visible(boxes)).sum()),
        overall=object_statistics("all", every, annotations, boxes),
        classes=[
            object_statistics(name, annotations.labels == k, annotations, boxes)
            for k, name in enumerate(annotations.classes)
        ],
        duplicates=duplicates(annotations),
        notes=list(annotations.notes),
    )


def object_statistics(
    name: str, chosen: NDArray[np.bool_], annotations: DetectionSplit, boxes: Boxes
) -> ObjectStatistics:
    """Measures the ``chosen`` ``[B]`` of the objects, whose ``boxes`` ``[B, 4]`` lie in the network's input."""
    x1, y1, x2, y2 = annotations.boxes[chosen].astype(np.float64).T
    area = (x2 - x1) * (y2 - y1)
    width, height = (boxes[chosen, 2:] - boxes[chosen, :2]).astype(np.float64).T
    seen = visible(boxes[chosen])  # rounding may leave others no height
    objects = len(area)
    small, large = int((area < MEDIUM).sum()), int((area >= LARGE).sum())
    return ObjectStatistics(
        name=name,
        objects=objects,
        share=share(objects, len(boxes)),
        images=len(np.unique(annotations.owners[chosen])),
        difficult=int(annotations.difficult[chosen].sum()),
        small=share(small, objects),
        medium=share(objects - small - large, objects),
        large=share(large, objects),
        width=percentiles(width),
        height=percentiles(height),
        size=percentiles(np.sqrt(width * height)),
        aspect=percentiles(width[seen] / height[seen]),
    )


def input_boxes(annotations: DetectionSplit, preprocessing: Preprocessing) -> Boxes:
    """Boxes ``[B, 4]`` in pixels of the network's input, as they are when nothing is augmented."""
    sizes, which = np.unique(annotations.sizes[annotations.owners], axis=0, return_inverse=True)
    frames = [preprocessing.geometry(int(height), int(width)) for height, width in sizes]
    scales = np.array([(f.columns / f.width, f.rows / f.height) for f in frames]).reshape(-1, 2)
    shifts = np.array([(f.left, f.top) for f in frames]).reshape(-1, 2)
    geometry = which.reshape(-1)  # NumPy 2.0 gives it another shape than other versions
    return (annotations.boxes * np.tile(scales, 2)[geometry] + np.tile(shifts, 2)[geometry]).astype(np.float32)


def visible(boxes: Boxes) -> NDArray[np.bool_]:
    """``[B]``, which of the ``boxes`` ``[B, 4]`` in the network's input training keeps: a pixel and more a side."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2] >= 1).all(1))


def duplicates(annotations: DetectionSplit) -> list[Duplicate]:
    """Pairs of objects of one image and class whose boxes are nearly the same: marked twice, as a rule."""
    found: list[Duplicate] = []
    for image in np.flatnonzero(np.diff(annotations.starts) > 1).tolist():
        boxes, labels = annotations.objects(image)
        with np.errstate(invalid="ignore"):  # rounding may leave a box no area
            overlap = iou(boxes.astype(np.float64), boxes)
        twice = np.triu((overlap >= SAME) & (labels[:, None] == labels), k=1)
        for one, other in np.argwhere(twice).tolist():
            both = boxes[one].tolist(), boxes[other].tolist()
            name = annotations.classes[labels[one]]
            found.append(Duplicate(str(annotations.names[image]), name, *both, iou=float(overlap[one, other])))
    return found


def shared_pictures(splits: Mapping[str, DetectionSplit]) -> list[SharedPicture]:
    """Pictures that two splits have under one name; where pictures are numbered, two of one name differ."""
    found: list[SharedPicture] = []
    for (one, a), (other, b) in itertools.combinations(splits.items(), 2):
        for name in np.intersect1d(a.names, b.names).tolist():
            first, second = a.folder / name, b.folder / name
            there = first.is_file() and second.is_file()
            if first == second or (there and filecmp.cmp(first, second, shallow=False)):
                found.append(SharedPicture(name, (one, other)))
    return found
