"""What `litmobile inspect` found in classification data, as tables to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..tasks.preprocessing import Preprocessing
from ..tasks.statistics import PERCENTILES, Percentiles
from .inspect_classification import (
    ClassificationInspection,
    Copies,
    Copy,
    LabelledStatistics,
    PictureSizes,
    Repeated,
    Shared,
)
from .inspect_text import RANKS, broken_text, listed, percent, sizes_text, stops
from .text_tables import NOTHING, figure, table

MOST_COPIES = 8  # of one picture that are named


def tables(found: ClassificationInspection) -> str:
    """The whole report."""
    parts = [classes_table(found.splits)]
    parts += [split_text(name, split, found.input) for name, split in found.splits.items()]
    parts += stops(found.not_read, found.contradiction)
    parts += [] if found.copies is None else [copies_text(found.copies)]
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


def copies_text(found: Copies) -> str:
    """What is there more than once: across splits, within, and where."""
    lines = [*map(shared_text, found.shared), *map(repeated_text, found.repeated)]
    return "\n".join([*lines, listed("pictures that are there more than once, by their pixels", groups(found.groups))])


def shared_text(found: Shared) -> str:
    """How many images a split has in common with an earlier one."""
    if not found.images:
        return f"pictures of {found.split} that {found.earlier} has as well: none"
    return (
        f"pictures of {found.split} that {found.earlier} has as well: {found.images} ({percent(found.share)}), "
        f"{found.relabelled} of them under another class"
    )


def repeated_text(found: Repeated) -> str:
    """How many pictures a split has more than once."""
    if not found.pictures:
        return f"pictures that {found.split} has more than once: none"
    return (
        f"pictures that {found.split} has more than once: {found.pictures}, "
        f"{found.relabelled} of them under different classes"
    )


def groups(found: Sequence[Sequence[Copy]]) -> list[str]:
    """A line for every picture that there are several of."""
    lines = []
    for group in found:
        named = [f"{copy.split} {copy.name} ({copy.label})" for copy in group[:MOST_COPIES]]
        if len(group) > MOST_COPIES:
            named.append(f"and {len(group) - MOST_COPIES} more")
        lines.append(" = ".join(named))
    return lines
