"""What `litmobile inspect` found in classification data, as tables to read."""

from __future__ import annotations

from collections.abc import Mapping

from ...tasks.preprocessing import Preprocessing
from ...tasks.statistics import PERCENTILES, Percentiles
from ..text_tables import NOTHING, figure, table
from .classification import ClassificationInspection, LabelledStatistics, PictureSizes
from .copies_tables import CLASSES, copies_text
from .text import RANKS, broken_text, listed, percent, sizes_text, stops


def tables(found: ClassificationInspection) -> str:
    """The whole report."""
    parts = [classes_table(found.splits)]
    parts += [split_text(name, split, found.input) for name, split in found.splits.items()]
    parts += stops(found.not_read, found.stops)
    parts += [] if found.copies is None else [copies_text(found.copies, CLASSES)]
    return "\n\n".join([*parts, *broken_text(found.broken)])


def classes_table(splits: Mapping[str, LabelledStatistics]) -> str:
    """Images of every class in every split, and their shares."""
    names = dict.fromkeys(row.name for split in splits.values() for row in split.classes)
    counts = [{row.name: row for row in split.classes} for split in splits.values()]
    rows = [[name] for name in names]
    for row in rows:
        for of_split in counts:
            count = of_split.get(row[0])
            row += [NOTHING, NOTHING] if count is None else [str(count.images), percent(count.share)]
    overall = ["all", *(cell for split in splits.values() for cell in (str(split.images), percent(1.0)))]
    header = ["class", *(cell for name in splits for cell in (name, "share"))]
    return table(header, [*rows, overall])


def split_text(name: str, split: LabelledStatistics, preprocessing: Preprocessing) -> str:
    """One split: how even its classes are, its pictures' sizes, and what is odd about it."""
    of_class = {row.name: row.images for row in split.classes}
    ratio = "no ratio" if split.ratio is None else f"1 to {split.ratio:.2f}"
    lines = [
        f"{name}: {split.source}",
        f"{split.images} images of {len(split.classes)} classes; fewest {of_class[split.fewest]} ({split.fewest}), "
        f"most {of_class[split.most]} ({split.most}), {ratio}",
    ]
    if split.pictures is not None:
        lines += pictures_text(split.pictures, preprocessing)
    return "\n".join([*lines, listed("notes of reading", split.notes)])


def pictures_text(found: PictureSizes, preprocessing: Preprocessing) -> list[str]:
    """Lines on the sizes of the pictures of a split."""
    height, width = preprocessing.size
    images = sum(size.images for size in found.sizes)
    part = percent(found.enlarged / images if images else None)
    return [
        f"pictures, width×height: {sizes_text(found.sizes)}",
        "",
        table(["pixels", *RANKS], [["width", *ranks(found.width)], ["height", *ranks(found.height)]]),
        "",
        f"too small for the {width}×{height} input ({preprocessing.fit}), so that they are enlarged: "
        f"{found.enlarged} ({part})",
    ]


def ranks(values: Percentiles) -> list[str]:
    """Percentiles of pixels."""
    return [figure(values.get(str(rank)), 0) for rank in PERCENTILES]
