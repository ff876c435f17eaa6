"""Inspection of detection data: objects and their sizes, duplicates, leaks, invalid images, and anchors."""

from __future__ import annotations

import filecmp
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from ...tasks.detection import DetectionDataModule, DetectionSplit
from ...tasks.detection.anchors import input_boxes, is_trainable
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from . import figures
from .anchors import format_anchors, measure_anchors
from .figures import Column, Facts
from .objects import find_duplicate_objects, measure_objects
from .splits import DataReading, Inspection

COUNT_COLUMNS = [
    *(Column("class", "name"), Column("objects"), Column("share", spec=".1%"), Column("images"), Column("difficult")),
    *(Column(size, spec=".1%") for size in ("small", "medium", "large")),
]
SIZE_COLUMNS = [
    *(Column("class", "name"), Column("w×h", "median"), *figures.percentile_columns("size", ".1f")),
    *(Column("w/h", ""), *figures.percentile_columns("aspect", ".2f")),
]


def inspect_detection(
    data: DetectionDataModule, task: Task | None, size: Sequence[int] | None, read_images: bool
) -> Inspection:
    """Measures the objects of all splits and the anchors of ``task``; with ``read_images``, looks for invalid images.

    Raises:
        DataError: no split can be read.
        TaskError: both ``task`` and ``size`` are given.
        UserError: the preprocessing crops images.
    """
    reading = DataReading(data, task, size, Preprocessing())
    preprocessing = reading.preprocessing
    preprocessing.check_not_cropped(type(data).__name__)
    if read_images:
        reading.verify()
    splits = {name: measure_split(split, preprocessing) for name, split in reading.splits.items()}
    leaks = find_leaks(reading.splits)
    name, split = next(iter(reading.splits.items()))
    anchors = measure_anchors(task, name, split, preprocessing)
    texts = [
        figures.format_list("images in two splits", [f"{x['name']} in {' and '.join(x['splits'])}" for x in leaks]),
        anchors if isinstance(anchors, str) else format_anchors(anchors),
    ]
    return reading.inspection(
        splits, format_split, reading.invalid_images(), {"leaks": leaks, "anchors": anchors}, texts
    )


def measure_split(split: DetectionSplit, preprocessing: Preprocessing) -> Facts:
    """Counts the images and objects of a split, and measures the objects in the network's input."""
    boxes = input_boxes(split, preprocessing)
    counts = np.diff(split.starts)
    sizes = split.sizes[(split.sizes > 0).all(1)]  # annotation files may contain zeros
    classes = enumerate(split.classes)
    return {
        "images": len(split),
        "images_without_objects": int((counts == 0).sum()),
        "objects_per_image": figures.fraction(len(boxes), len(split)),
        "most_objects_in_an_image": int(counts.max(initial=0)),
        "image_sizes": figures.count_sizes(split.sizes),
        "image_aspect_ratio": figures.percentiles(sizes[:, 1] / sizes[:, 0]),
        "overall": measure_objects("all", np.ones(len(boxes), dtype=bool), split, boxes),
        "classes": [measure_objects(name, split.labels == k, split, boxes) for k, name in classes],
        "objects_below_one_pixel": int((~is_trainable(boxes)).sum()),
        "duplicate_objects": find_duplicate_objects(split),
    }


def format_split(facts: Facts) -> str:
    """Formats all facts, those of the classes as two tables."""
    rows = [format_medians(row) for row in (*facts["classes"], facts["overall"])]
    duplicates = [format_duplicate(row) for row in facts["duplicate_objects"]]
    return figures.format_facts(
        facts,
        overall="",
        classes=f"""
{figures.format_table(COUNT_COLUMNS, rows)}
small, medium, large: box area below 32², below 96², and above, in pixels of the image

{figures.format_table(SIZE_COLUMNS, rows)}
w×h: medians, then percentiles of √(w·h), in pixels of the network input; w/h: percentiles

training ignores objects below one pixel in the input; boxes of duplicate objects have an IoU of at least 0.9""",
        duplicate_objects=figures.format_list("duplicate objects", duplicates),
    )


def format_medians(row: Facts) -> Facts:
    """Prepares a row of both tables: adds the median width×height, and drops the shares of a class without objects."""
    if not row["objects"]:
        return {key: row[key] for key in ("name", "objects", "images", "difficult")}
    return {**row, "median": f"{row['width']['50']:.0f}×{row['height']['50']:.0f}"}


def format_duplicate(row: Facts) -> str:
    """Formats a pair of duplicate objects on one line."""
    one, other = (", ".join(f"{value:g}" for value in row[key]) for key in ("box", "other"))
    return f"{row['image']}: {row['name']} at {one} and at {other}, IoU {row['iou']:.2f}"


def find_leaks(splits: Mapping[str, DetectionSplit]) -> list[Facts]:
    """Finds images that two splits contain under the same name: the same file, or files with equal bytes."""
    found: list[Facts] = []
    for (one, a), (other, b) in itertools.combinations(splits.items(), 2):
        for name in np.intersect1d(a.names, b.names).tolist():
            first, second = a.folder / name, b.folder / name
            exist = first.is_file() and second.is_file()
            if first == second or (exist and filecmp.cmp(first, second, shallow=False)):
                found.append({"name": name, "splits": [one, other]})
    return found
