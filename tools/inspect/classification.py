"""Inspection of classification data: classes, image sizes, duplicates, leaks and invalid images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...tasks.classification import ClassificationDataModule, ClassificationSplit
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from . import figures
from .duplicates import ImageKeys, digest, find_candidates, find_duplicates, format_duplicates
from .figures import Column, Facts
from .splits import DataReading, Inspection, visit_images


def inspect_classification(
    data: ClassificationDataModule, task: Task | None, size: Sequence[int] | None, read_images: bool
) -> Inspection:
    """Counts the images of each class; with ``read_images``, measures them and looks for duplicates.

    Raises:
        DataError: no split can be read.
        TaskError: both ``task`` and ``size`` are given.
    """
    reading = DataReading(data, task, size, Preprocessing((224, 224), "crop"))
    if read_images:
        reading.verify()
    facts = {name: found.facts for name, found in reading.verified.items()}
    splits = {
        name: measure_split(split, facts[name].sizes if read_images else None, reading.preprocessing)
        for name, split in reading.splits.items()
    }
    candidates = find_candidates(facts)
    keys = {name: digest_images(name, reading.splits[name], images) for name, images in candidates.items()}
    duplicates = find_duplicates(keys) if read_images else None
    texts = [] if duplicates is None else [format_duplicates(duplicates, "class")]
    format_split = partial(figures.format_facts, classes="")  # all splits have one table of classes together
    overview = [format_classes(splits)]
    return reading.inspection(
        splits, format_split, reading.invalid_images(), {"duplicates": duplicates}, texts, overview
    )


def digest_images(name: str, split: ClassificationSplit, images: NDArray[np.intp]) -> ImageKeys:
    """Hashes the pixels of those ``images`` of a split that may have copies, with a progress bar."""
    keys = ImageKeys(split.names.tolist(), [split.classes[label] for label in split.labels], [""] * len(split))

    def add_digest(index: int) -> None:
        keys.digests[index] = digest(split.image(index))

    visit_images(name, images.tolist(), add_digest)
    return keys


def measure_split(split: ClassificationSplit, sizes: NDArray[np.int64] | None, preprocessing: Preprocessing) -> Facts:
    """Measures the class balance of a split, and the ``sizes`` of its images, 0 for invalid ones, if they are known."""
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
    if sizes is None:
        return facts
    valid = sizes[sizes.all(axis=1)]
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
