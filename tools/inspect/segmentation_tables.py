"""What `litmobile inspect` found in segmentation data, as tables to read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...tasks.preprocessing import Preprocessing
from ...tasks.statistics import Percentiles, share
from ..text_tables import NOTHING, figure, table
from .copies_tables import MASKS, copies_text
from .segmentation import CELL, ClassPixels, MaskedStatistics, SegmentationInspection
from .text import listed, percent, sizes_text, stops

RANKS = ("10", "50", "90")  # percentiles that are printed
HEADS = [f"{rank} %" for rank in RANKS]
NO_CLASS = "(no class)"

Weights = Mapping[str, Sequence[float]]


def tables(found: SegmentationInspection) -> str:
    """The whole report."""
    weights = found.class_weights or {}
    parts = [shares_text(found.splits, weights)]
    parts += [split_text(name, split, found.input) for name, split in found.splits.items()]
    parts += stops(found.not_read, found.stops)
    parts += ["Pictures were not read."] if found.copies is None else [copies_text(found.copies, MASKS)]
    what = "masks" if found.copies is None else "masks and pictures"
    parts += [listed(f"broken {what} in {name}", faults) for name, faults in found.broken.items()]
    parts += [weights_text(weights)] if weights else []
    return "\n\n".join(parts)


def shares_text(splits: Mapping[str, MaskedStatistics], weights: Weights) -> str:
    """Shares of the pixels of every class in every split, and what training's loss may weigh the class with."""
    by_name = [{row.name: row for row in split.classes} for split in splits.values()]
    of_training = [row.name for row in splits["train"].classes] if weights else []
    weighed = [dict(zip(of_training, each, strict=True)) for each in weights.values()]
    rows = []
    for name in dict.fromkeys(row.name for split in splits.values() for row in split.classes):
        counts = [of_split.get(name) for of_split in by_name]
        shares = [NOTHING if row is None or not row.pixels else fine_percent(row.share) for row in counts]
        rows.append([name, *shares, *(figure(each.get(name), 2) for each in weighed)])
    unlabelled = [fine_percent(split.unlabelled) for split in splits.values()]
    rows.append([NO_CLASS, *unlabelled, *([""] * len(weights))])
    lines = [table(["class", *splits, *weights], rows), f"shares of the labelled pixels, but {NO_CLASS} of all pixels"]
    if weights:
        lines.append(f"{', '.join(weights)}: weights that PixelLoss computes from train")
    return "\n".join(lines)


def split_text(name: str, split: MaskedStatistics, preprocessing: Preprocessing) -> str:
    """One split: its images, where classes are seen and how large they are there, and what is odd about it."""
    height, width = preprocessing.size
    whole = sum(size.images for size in split.sizes)
    rows = [measures(row, whole) for row in split.classes]
    lines = [
        f"{name}: {split.source}",
        f"{split.images} images of {len(split.classes)} classes; width×height: {sizes_text(split.sizes)}",
        "",
        table(["class", "images", "share", "area", *HEADS, "width", *HEADS], rows),
        f"images that show the class; its area and width there, by percentile, in cells of {CELL}×{CELL} pixels of the "
        f"{width}×{height} input ({preprocessing.fit})",
        "width: half of the class's pixels lie in stretches of it that are no longer, along the row or the column",
        "",
        f"classes that are no wider than a cell in half of their images: {names(map(narrow, split.classes))}",
        f"classes that no image shows: {names(split.absent)}",
        listed("images without a labelled pixel", split.empty),
        listed("notes of reading", split.notes),
    ]
    return "\n".join(lines)


def measures(row: ClassPixels, images: int) -> list[str]:
    """A row of a split's table, whose shares are of so many ``images``."""
    shown = percent(share(row.images, images) if images else None)
    return [row.name, str(row.images), shown, "", *ranks(row.area, 0), "", *ranks(row.width, 1)]


def ranks(values: Percentiles, digits: int) -> list[str]:
    """The percentiles that are printed."""
    return [figure(values.get(rank), digits) for rank in RANKS]


def narrow(row: ClassPixels) -> str:
    """The class and its width, if that is hard to see at the stride of a cell."""
    width = row.width.get("50")
    return "" if width is None or width > 1 else f"{row.name} ({width:.1f})"


def names(those: Iterable[str]) -> str:
    """Names on a line, empty ones left out."""
    return ", ".join(filter(None, those)) or "none"


def fine_percent(value: float) -> str:
    """A share as 1.23 %: one tenth of a per cent is much for a class of thin things."""
    return f"{100 * value:.2f} %"


def weights_text(weights: Weights) -> str:
    """Weights as flags, to copy."""
    rules = " or ".join(weights)
    lines = [f"weights of the classes as flags; --model.loss.class_weights={rules} computes them anew"]
    for rule, values in weights.items():
        listing = ",".join(f"{value:.4g}" for value in values)
        lines += [f"{rule}:", f"  --model.loss=PixelLoss --model.loss.class_weights=[{listing}]"]
    return "\n".join(lines)
