"""Inspection of segmentation data: pixels and extent of classes, duplicates, leaks, invalid masks and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from ...heads.predictions import IGNORED
from ...tasks.preprocessing import Preprocessing
from ...tasks.segmentation import SegmentationDataModule, SegmentationSplit
from ...tasks.segmentation.losses import Frequency, frequency_weights
from ...tasks.segmentation.masks import Labels
from ...tasks.segmentation.split import unlabelled_message
from ...tasks.segmentation.transforms import resize_labels
from ...tasks.task import Task
from . import figures
from .duplicates import ImageKeys, digest, find_candidates, find_duplicates, format_duplicates
from .figures import Column, Facts
from .splits import FIT_SPLITS, DataReading, Inspection, Verified, visit_images

CELL = 8  # side in input pixels of a cell of LR-ASPP's finest feature map
NO_CLASS = "(no class)"
EXTENT_COLUMNS = [
    *(Column("class", "name"), Column("images"), Column("share", "share_of_images", ".1%")),
    *(Column("area", ""), *figures.percentile_columns("area", ".0f", (10, 50, 90))),
    *(Column("width", ""), *figures.percentile_columns("width", ".1f", (10, 50, 90))),
]
EXTENT_LEGEND = f"""\
images: those that show the class; area and width: percentiles over them, in cells of {CELL}×{CELL} pixels of the input
width: median over the class's pixels of the shorter of the horizontal and vertical run lengths
thin classes: at most one cell wide in half of their images
"""

Weights = Mapping[str, Sequence[float]]


class MaskReading(NamedTuple):
    """What was read from the masks and images of a split; 0 and "" where they are invalid.

    Attributes:
        sizes: (height, width) in pixels, ``[I, 2]``.
        pixels: of each class and, last, of no class, ``[I, C + 1]``.
        area: pixels of each class in the network's input, ``[I, C]``.
        width: of each class in pixels of the input, see :func:`measure_extent`, ``[I, C]``.
        keys: names and digests of the images, and digests of the masks as labels; "" for images without copies.
        faults: one sentence for each invalid mask or image.
    """

    sizes: NDArray[np.int64]
    pixels: NDArray[np.int64]
    area: NDArray[np.int64]
    width: NDArray[np.int64]
    keys: ImageKeys
    faults: list[str]


def inspect_segmentation(
    data: SegmentationDataModule, task: Task | None, size: Sequence[int] | None, read_images: bool
) -> Inspection:
    """Measures the masks of all splits; with ``read_images``, also looks for duplicates and invalid images.

    Raises:
        DataError: no split can be read.
        TaskError: both ``task`` and ``size`` are given.
        UserError: the preprocessing crops images.
    """
    reading = DataReading(data, task, size, Preprocessing((512, 512), "pad"))
    preprocessing = reading.preprocessing
    preprocessing.check_not_cropped(type(data).__name__)
    if read_images:
        reading.verify()
    candidates = find_candidates({name: found.facts for name, found in reading.verified.items()})
    masks = {
        name: read_masks(name, split, preprocessing, reading.verified.get(name), set(candidates.get(name, ())))
        for name, split in reading.splits.items()
    }
    splits = {name: measure_split(split, masks[name]) for name, split in reading.splits.items()}
    invalid = {name: found.faults for name, found in masks.items()}
    unlabelled = [name for name in FIT_SPLITS if name in masks and lacks_labels(masks[name])]
    weights = class_weights(masks["train"].pixels[:, :-1]) if "train" in masks else {}
    duplicates = find_duplicates({name: found.keys for name, found in masks.items()}) if read_images else None
    texts = ["Images were not read."] if duplicates is None else [format_duplicates(duplicates, "mask")]
    if weights:
        texts.append(format_weights(weights))
    facts = {"duplicates": duplicates, "class_weights": weights or None}
    issues = [unlabelled_message(reading.splits[name]) for name in unlabelled]
    return reading.inspection(splits, format_split, invalid, facts, texts, [format_shares(splits, weights)], issues)


def read_masks(
    name: str, split: SegmentationSplit, preprocessing: Preprocessing, verified: Verified | None, candidates: set[int]
) -> MaskReading:
    """Reads all masks of a split with a progress bar, and the images that may have copies.

    Args:
        name: name of the split.
        split: the split.
        preprocessing: how images become the network's input.
        verified: what is known about the images; None if they were not read.
        candidates: indices of the images that may have copies.
    """
    invalid = {} if verified is None else verified.invalid
    images, classes = len(split), len(split.classes)
    sizes, pixels = np.zeros((images, 2), np.int64), np.zeros((images, classes + 1), np.int64)
    area, width = np.zeros((images, classes), np.int64), np.zeros((images, classes), np.int64)
    keys = ImageKeys(split.names.tolist(), [""] * images, [""] * images)

    def measure(index: int) -> None:
        labels = split.labels(index)
        if index in candidates:
            keys.digests[index], keys.labels[index] = digest(split.image(index)), digest(labels)
        sizes[index] = labels.shape
        pixels[index] = np.bincount(labels.ravel(), minlength=IGNORED + 1)[[*range(classes), IGNORED]]
        input_labels = resize_labels(labels, preprocessing.geometry(*labels.shape), preprocessing.size)
        area[index], width[index] = measure_extent(input_labels, classes)

    errors = invalid | visit_images(name, (index for index in range(images) if index not in invalid), measure)
    return MaskReading(sizes, pixels, area, width, keys, [error for _, error in sorted(errors.items())])


def lacks_labels(masks: MaskReading) -> bool:
    """Whether masks can be read, but no pixel has a class."""
    return bool(masks.pixels.any() and not masks.pixels[:, :-1].any())


def measure_extent(labels: Labels, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Measures area and width in pixels of each class in ``labels`` ``[H, W]``, ``[C]`` each.

    The width of a pixel is the shorter of its horizontal and vertical run lengths. The width of a class is the lower
    median over its pixels, 0 if it has none.
    """
    width = np.minimum(run_lengths(labels), run_lengths(labels.T).T)
    bins = max(labels.shape) + 1
    counts = np.bincount((labels.astype(np.int32) * bins + width).ravel(), minlength=(IGNORED + 1) * bins)
    cumulative = counts.reshape(IGNORED + 1, bins)[:classes].cumsum(1)
    area = cumulative[:, -1]
    return area, (2 * cumulative >= area[:, None]).argmax(1)


def run_lengths(labels: Labels) -> NDArray[np.int32]:
    """Length in pixels of each pixel's run of equal labels in its row, ``[H, W]``."""
    begins = np.ones(labels.shape, dtype=bool)
    begins[:, 1:] = labels[:, 1:] != labels[:, :-1]
    lengths = np.diff(np.flatnonzero(begins), append=labels.size).astype(np.int32)
    return np.repeat(lengths, lengths).reshape(labels.shape)


def measure_split(split: SegmentationSplit, masks: MaskReading) -> Facts:
    """Classes and their extent in a split; invalid masks count only in the number of images."""
    valid = masks.sizes.all(1)
    pixels = masks.pixels.sum(0)
    labelled, images = int(pixels[:-1].sum()), (masks.pixels > 0).sum(0)
    classes: list[Facts] = []
    for k, name in enumerate(split.classes):
        shown = masks.pixels[:, k] > 0
        classes.append(
            {
                "name": name,
                "pixels": int(pixels[k]),
                "share": figures.fraction(int(pixels[k]), labelled),
                "images": int(images[k]),
                "share_of_images": int(images[k]) / int(valid.sum()) if valid.any() else None,
                "area": figures.percentiles(masks.area[shown, k] / CELL**2),
                "width": figures.percentiles(masks.width[shown, k] / CELL),
            }
        )
    return {
        "images": len(split),
        "image_sizes": figures.count_sizes(masks.sizes[valid]),
        "classes": classes,
        "thin_classes": [row["name"] for row in classes if row["width"] and row["width"]["50"] <= 1],
        "classes_without_pixels": [row["name"] for row in classes if not row["pixels"]],
        "unlabelled_share": figures.fraction(int(pixels[-1]), int(pixels.sum())),
        "images_without_labels": split.names[valid & ~masks.pixels[:, :-1].any(1)].tolist(),
    }


def format_split(facts: Facts) -> str:
    """Formats all facts except the shares of pixels, which :func:`format_shares` prints for all splits together."""
    table = figures.format_table(EXTENT_COLUMNS, facts["classes"])
    return figures.format_facts(facts, classes=f"\n{table}\n{EXTENT_LEGEND}")


def class_weights(pixels: NDArray[np.int64]) -> dict[str, list[float]]:
    """The weights that ``PixelLoss`` computes from ``pixels`` ``[I, C]``, by rule; empty without labelled pixels."""
    return {rule: frequency_weights(rule, pixels).tolist() for rule in get_args(Frequency)} if pixels.any() else {}


def format_shares(splits: Mapping[str, Facts], weights: Weights) -> str:
    """Formats a table of the share of each class in each split, and of the class weights that the loss can use."""
    rows: dict[str, Facts] = {}
    for split, facts in splits.items():
        for k, row in enumerate(facts["classes"]):
            entry = rows.setdefault(row["name"], {"name": row["name"]})
            entry[split] = row["share"] if row["pixels"] else None
            if split == "train":
                entry |= {rule: values[k] for rule, values in weights.items()}
    unlabelled = {"name": NO_CLASS} | {split: facts["unlabelled_share"] for split, facts in splits.items()}
    columns = [Column("class", "name"), *(Column(split, spec=".2%") for split in splits)]
    columns += [Column(rule, spec=".2f") for rule in weights]
    table = figures.format_table(columns, [*rows.values(), unlabelled])
    legend = f"shares of the labelled pixels; {NO_CLASS}: share of all pixels"
    return f"{table}\n{legend}" + (f"\n{', '.join(weights)}: as PixelLoss computes them from train" if weights else "")


def format_weights(weights: Weights) -> str:
    """Formats the class weights as flags to copy."""
    lines = [f"class weights as flags; --model.loss.class_weights={' or '.join(weights)} computes them at each start"]
    for rule, values in weights.items():
        listing = ",".join(f"{value:.4g}" for value in values)
        lines += [f"{rule}:", f"  --model.loss=PixelLoss --model.loss.class_weights=[{listing}]"]
    return "\n".join(lines)
