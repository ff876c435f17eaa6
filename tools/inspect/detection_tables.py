"""What `litmobile inspect` found in detection data, as tables to read."""

from __future__ import annotations

from collections.abc import Sequence

from ...tasks.detection.statistics import Duplicate, ObjectStatistics, SharedPicture, SplitStatistics
from ...tasks.preprocessing import Preprocessing
from ...tasks.statistics import PERCENTILES
from ..text_tables import NOTHING, figure, table
from .anchors import AnchorFigures, AnchorReport, ClassReach
from .detection import Inspection
from .text import RANKS, broken_text, listed, percent, ranked, sizes_text, stops


def tables(found: Inspection) -> str:
    """The whole report."""
    parts = [split_text(name, split, found.input) for name, split in found.splits.items()]
    parts += stops(found.not_read, found.stops)
    if len(found.splits) > 1:
        parts.append(listed("pictures in two splits", map(shared_text, found.shared)))
    parts += broken_text(found.broken)
    parts.append(found.anchors if isinstance(found.anchors, str) else anchors_text(found.anchors))
    return "\n\n".join(parts)


def split_text(name: str, split: SplitStatistics, preprocessing: Preprocessing) -> str:
    """One split: its images, objects by class, their sizes and shapes, and what is odd about them."""
    rows = [*split.classes, split.overall]
    height, width = preprocessing.size
    lines = [
        f"{name}: {split.source}",
        f"{split.images} images, {split.empty} of them without objects; "
        f"{split.overall.objects} objects, {split.objects_an_image:.1f} an image, {split.most_objects} at most",
        f"images, width×height: {sizes_text(split.image_sizes)}",
        f"images, width by height: {ranked(split.image_aspect)}",
        "",
        table(["class", "objects", "share", "images", "difficult", "small", "medium", "large"], map(counts, rows)),
        "small, medium, large: a box of less than 32², less than 96², more pixels of the picture",
        "",
        table(["class", "w×h", *RANKS, "w/h", *RANKS], map(measures, rows)),
        f"w×h: medians, then √(w·h) by percentile, in pixels of the {width}×{height} input ({preprocessing.fit}); "
        "w/h: by percentile",
        "",
        f"objects below a pixel in the input, which are not trained on: {split.below_a_pixel}",
        listed("objects that are there twice, with an IoU of at least 0.9", map(duplicate_text, split.duplicates)),
        listed("notes of reading", split.notes),
    ]
    return "\n".join(lines)


def counts(row: ObjectStatistics) -> list[str]:
    """A row of the first table."""
    shares = [percent(x if row.objects else None) for x in (row.share, row.small, row.medium, row.large)]
    return [row.name, str(row.objects), shares[0], str(row.images), str(row.difficult), *shares[1:]]


def measures(row: ObjectStatistics) -> list[str]:
    """A row of the second table."""
    median = f"{row.width['50']:.0f}×{row.height['50']:.0f}" if row.objects else NOTHING
    sizes = [figure(row.size.get(str(rank)), 1) for rank in PERCENTILES]
    aspects = [figure(row.aspect.get(str(rank)), 2) for rank in PERCENTILES]
    return [row.name, median, *sizes, "", *aspects]


def duplicate_text(found: Duplicate) -> str:
    """A line on an object that is there twice."""
    one, other = (", ".join(f"{value:g}" for value in box) for box in (found.box, found.other))
    return f"{found.image}: {found.name} at {one} and at {other}, IoU {found.iou:.2f}"


def shared_text(found: SharedPicture) -> str:
    """A line on a picture that two splits have."""
    return f"{found.name} in {' and '.join(found.splits)}"


def anchors_text(found: AnchorReport) -> str:
    """How the anchors suit, and what would suit better."""
    whose = "Anchors of the published SSDLite, as no model is given," if found.of_published else "Anchors of the model"
    measured = found.split if found.one_image_in == 1 else f"one image in {found.one_image_in} of {found.split}"
    both = [found.present] if found.suggested is None else [found.present, found.suggested]
    measures = ["reached", "IoU", "anchors"]
    rows = [reach_row(row) for row in zip(*([*x.classes, x.overall] for x in both), strict=True)]
    lines = [
        f"{whose} on the objects of {measured} without augmentation",
        f"maps: {', '.join(f'{columns}×{rows}' for rows, columns in found.grids)} cells",
        f"present:   {options_text(found.present)}",
        f"suggested: {'nothing better was found' if found.suggested is None else options_text(found.suggested)}",
        "",
        table(["class", "objects", *measures, *(["suggested:", *measures] if found.suggested else [])], rows),
        f"reached: share of objects that an anchor overlaps with an IoU of at least {found.threshold:g}; "
        "IoU: mean of the best anchors'; anchors: as many answer for an object, on average",
    ]
    if found.suggested is not None:
        yaml = (f"  {line}" for line in found.yaml().splitlines())
        lines += ["", "suggested as flags:", f"  {found.flags()}"]
        lines += ["suggested as YAML, for a file that another --config names behind the training's own:", *yaml]
    return "\n".join(lines)


def options_text(found: AnchorFigures) -> str:
    """SSDLite's arguments, and how many anchors they lay."""
    scales = ", ".join(f"{scale:.3g}" for scale in found.scales)
    ratios = ", ".join(map(str, found.ratios))
    return f"scales {scales}; ratios {ratios}; layout {found.layout}; {found.anchors} anchors"


def reach_row(both: Sequence[ClassReach]) -> list[str]:
    """A row of the anchors' table: the present ones, and the suggested ones if there are any."""
    row = [both[0].name, str(both[0].objects)]
    for found in both:
        row += [""] if found is not both[0] else []
        row += [percent(found.reached), figure(found.iou, 3), figure(found.positives, 1)]
    return row
