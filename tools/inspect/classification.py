"""Inspection of classification data: classes, image sizes, duplicates, leaks and invalid images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.classification import ClassificationDataModule, ClassificationSplit
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from . import figures
from .duplicates import ImageKeys, digest, find_duplicates, format_duplicates
from .figures import Column, Facts
from .splits import DataReading, Inspection, visit_images


class ImageReading(NamedTuple):
    """What was read from the images of a split.

    Attributes:
        sizes: (height, width) in pixels, ``[I, 2]``; 0 for invalid images.
        keys: names, classes and digests of the images.
        faults: one sentence for each invalid image.
    """

    sizes: NDArray[np.int64]
    keys: ImageKeys
    faults: list[str]


def inspect_classification(
    data: ClassificationDataModule, task: Task | None, size: Sequence[int] | None, read_images: bool
) -> Inspection:
    """Counts the images of each class; with ``read_images``, measures them and looks for duplicates.

    Raises:
        DataError: no split can be read.
        TaskError: both ``task`` and ``size`` are given.
    """
    reading = DataReading(data, task, size, Preprocessing((224, 224), "crop"))
    images = {name: measure_images(name, split) for name, split in reading.splits.items()} if read_images else {}
    splits = {
        name: measure_split(split, images.get(name), reading.preprocessing) for name, split in reading.splits.items()
    }
    invalid = {name: found.faults for name, found in images.items()} if read_images else None
    duplicates = find_duplicates({name: found.keys for name, found in images.items()}) if read_images else None
    texts = [] if duplicates is None else [format_duplicates(duplicates, "class")]
    format_split = partial(figures.format_facts, classes="")  # all splits have one table of classes together
    overview = [format_classes(splits)]
    return reading.inspection(splits, format_split, invalid, {"duplicates": duplicates}, texts, overview)


def measure_images(name: str, split: ClassificationSplit) -> ImageReading:
    """Reads all images of a split with a progress bar."""
    sizes = np.zeros((len(split), 2), dtype=np.int64)
    keys = ImageKeys(split.names.tolist(), [split.classes[label] for label in split.labels], [""] * len(split))

    def measure(index: int) -> None:
        image = split.image(index)
        sizes[index] = image.shape[:2]
        keys.digests[index] = digest(image)

    return ImageReading(sizes, keys, visit_images(name, split, measure))


def measure_split(split: ClassificationSplit, images: ImageReading | None, preprocessing: Preprocessing) -> Facts:
    """Measures the class balance of a split, and the sizes of its images if they were read."""
    counts = dict(zip(split.classes, split.counts().tolist(), strict=True))
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    classes = [{"name": name, "images": n, "share": figures.fraction(n, len(split))} for name, n in counts.items()]
    facts: Facts = {
        "images": len(split),
        "classes": classes,
        "smallest_class": smallest,
        "largest_class": largest,
        "imbalance_ratio": counts[largest] / counts[smallest] if counts[smallest] else None,
    }
    if images is None:
        return facts
    valid = images.sizes[images.sizes.all(axis=1)]
    geometries = [preprocessing.geometry(height, width) for height, width in valid.tolist()]
    enlarged = sum(geometry.rows > geometry.height or geometry.columns > geometry.width for geometry in geometries)
    return facts | {
        "image_sizes": figures.count_sizes(valid),
        "image_width": figures.percentiles(valid[:, 1]),
        "image_height": figures.percentiles(valid[:, 0]),
        "images_enlarged_to_fill_input": enlarged,  # have fewer rows or columns than they get in the input
        "enlarged_share": figures.fraction(enlarged, len(valid)),
    }


def format_classes(splits: Mapping[str, Facts]) -> str:
    """Formats a table with the number and share of images of each class in each split."""
    rows: dict[str, Facts] = {}
    for split, facts in splits.items():
        for row in facts["classes"]:
            rows.setdefault(row["name"], {"name": row["name"]})[split] = row
    total = {"name": "all"} | {split: {"images": facts["images"], "share": 1.0} for split, facts in splits.items()}
    columns = [Column("class", "name")]
    for split in splits:
        columns += [Column(split, f"{split}.images"), Column("share", f"{split}.share", ".1%")]
    return figures.format_table(columns, [*rows.values(), total])
