"""Selects, orders and merges the classes of a detection split, and gives two splits the same classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import DataError, UserError, format_count, format_name, suggest
from ..data.files import format_list
from .split import DetectionSplit

#: class names in order, or for the name of each class the names of the classes that are merged into it
ClassSelection = list[str] | dict[str, list[str]]


def parse_selection(classes: ClassSelection) -> dict[str, list[str]]:
    """Returns for the name of each selected class the names of its parts.

    Raises:
        UserError: there is no class, or a name occurs twice.
    """
    parts = classes if isinstance(classes, dict) else {name: [name] for name in classes}
    names = [name for merged in parts.values() for name in merged]
    is_repeated = len(set(names)) < len(names) or len(parts) < len(classes)
    if not parts or is_repeated or not all(parts.values()):
        raise UserError(f"classes must name at least one class, and each name once, not {classes}.")
    return dict(parts)


def select_classes(split: DetectionSplit, selection: Mapping[str, Sequence[str]]) -> DetectionSplit:
    """Returns ``split`` with the selected classes only; objects of other classes are left out.

    Args:
        split: the split with the classes of its files.
        selection: for the name of each class, the names in the files that are merged into it.

    Raises:
        DataError: a name is not one of the split's classes.
    """
    for name in (name for parts in selection.values() for name in parts):
        if name not in split.classes:
            raise DataError(
                f"{split.source} has no class {format_name(name)}; it has {format_list(split.classes)}"
                f"{suggest(name, split.classes)}"
            )
    labels = {name: label for label, parts in enumerate(selection.values()) for name in parts}
    left_out = int(np.sum([name not in labels for name in split.classes] @ count_objects(split)))
    note = f"{split.source}: {format_count(left_out, 'objects of other classes')} left out."
    return relabel(split, tuple(selection), labels, (note,) if left_out else ())


def align_classes(split: DetectionSplit, reference: DetectionSplit) -> DetectionSplit:
    """Returns ``split`` with the classes of ``reference``, matched by name; differences are noted.

    Raises:
        DataError: ``split`` has objects of a class that ``reference`` lacks.
    """
    if split.classes == reference.classes:
        return split
    counts = dict(zip(split.classes, count_objects(split).tolist(), strict=True))
    unknown = [name for name in split.classes if name not in reference.classes]
    for name in unknown:
        if counts[name]:
            raise DataError(
                f"{split.source} has {format_count(counts[name], 'objects')} of the class {format_name(name)}, which "
                f"{reference.source} lacks; it has {format_list(reference.classes)}."
            )
    missing = [name for name in reference.classes if name not in split.classes]
    notes: list[str] = []
    if missing:
        notes.append(f"{split.source} lacks the classes {format_list(missing)} of {reference.source}.")
    if unknown:
        notes.append(f"{split.source} has the classes {format_list(unknown)} without objects; they are left out.")
    labels = {name: label for label, name in enumerate(reference.classes)}
    return relabel(split, reference.classes, labels, notes)


def relabel(
    split: DetectionSplit, classes: Sequence[str], labels: Mapping[str, int], notes: Sequence[str]
) -> DetectionSplit:
    """Returns ``split`` with other classes.

    Args:
        split: the split.
        classes: names of the new classes.
        labels: new label for the names of old classes; objects of other classes are left out.
        notes: sentences to add to the split's.
    """
    table = np.array([labels.get(name, -1) for name in split.classes], dtype=np.int64)
    ids = np.full(len(classes), -1, dtype=np.int64)
    for name, category_id in reversed(list(zip(split.classes, split.category_ids, strict=True))):
        if name in labels:
            ids[labels[name]] = category_id  # of several classes that are merged, the first
    free = ids < 0
    ids[free] = max(0, int(split.category_ids.max())) + 1 + np.arange(free.sum())
    truth = split.ground_truth
    kept = np.flatnonzero(table[truth.categories] >= 0)
    truth = replace(
        truth,
        classes=tuple(classes),
        category_ids=ids,
        images=truth.images[kept],
        categories=table[truth.categories[kept]],
        boxes=truth.boxes[kept],
        areas=truth.areas[kept],
        is_crowd=truth.is_crowd[kept],
    )
    changed = replace(split, labels=table[split.labels]).take_objects(table[split.labels] >= 0)
    return replace(changed, classes=tuple(classes), category_ids=ids, ground_truth=truth, notes=(*split.notes, *notes))


def count_objects(split: DetectionSplit) -> np.ndarray:
    """Number of objects of each class, crowds included, ``[C]``."""
    return np.bincount(split.ground_truth.categories, minlength=len(split.classes))
