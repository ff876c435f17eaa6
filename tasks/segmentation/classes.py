"""Finds the number and names of a data set's classes, and checks that masks agree with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path

import numpy as np

from ...errors import DataError, format_count, format_name
from ...heads.predictions import IGNORED
from ..data.files import read_text
from ..data.split import check_distinct
from .masks import MAX_CLASSES, check_value, format_values, read_values, sample_evenly

MAX_LISTED_VALUES = 20


def read_names(file: Path) -> tuple[str, ...] | None:
    """Reads class names, one per line; None if the file does not exist.

    Raises:
        DataError: the file cannot be read, is empty or too long, or has an empty line or a name twice.
    """
    if not file.is_file():
        return None
    names = tuple(line.strip() for line in read_text(file).rstrip().split("\n"))
    if "" in names[:-1]:
        raise DataError(f"{file} has no name in line {names.index('') + 1}; every line must name a class.")
    names = tuple(filter(None, names))
    check_names(names, file)
    return names


def check_names(names: Sequence[str], source: Path | str) -> None:
    """Raises DataError unless ``source`` names 1 to 254 classes, each once."""
    if not 1 <= len(names) <= MAX_CLASSES:
        raise DataError(f"{source} names {format_count(len(names), 'classes')}; 1 to {MAX_CLASSES} are possible.")
    check_distinct(names, source)


def check_ignored(names: Sequence[str], ignored: Collection[int]) -> None:
    """Raises DataError if an ignored value is also a class index: the values of the classes are then unclear."""
    indices = sorted(set(ignored) & set(range(len(names))))
    if indices:
        option = values_option(default_values(names, ignored))
        raise DataError(
            f"The value {indices[0]} is ignored, but is also the index of the class {format_name(names[indices[0]])} "
            f"among {len(names)}: name the value of each class, such as {option}."
        )


def default_values(classes: Sequence[object], ignored: Collection[int]) -> tuple[int, ...]:
    """Returns the mask values of ``classes`` unless others are given: 0, 1, … without the ignored ones."""
    return tuple(islice((value for value in count() if value not in ignored), len(classes)))


def values_option(values: Sequence[int]) -> str:
    """Formats the option that names ``values``, for messages."""
    return f"--data.values=[{','.join(map(str, values)) if len(values) <= MAX_LISTED_VALUES else '…'}]"


def find_values(masks: Sequence[Path], skip: bool = False) -> dict[int, Path]:
    """Returns all values in ``masks``, each with the first file that holds it.

    Args:
        masks: mask files.
        skip: whether to skip masks that cannot be read.

    Raises:
        DataError: a mask cannot be read.
    """

    def read(mask: Path) -> list[int]:
        try:
            return np.unique(read_values(mask)).tolist()
        except DataError:
            if skip:
                return []
            raise

    found: dict[int, Path] = {}
    with ThreadPoolExecutor() as threads:  # decoding releases the GIL
        for mask, values in zip(masks, threads.map(read, masks), strict=True):
            for value in values:
                found.setdefault(value, mask)
    return found


def check_not_binary(masks: Sequence[Path], ignored: Collection[int], skip: bool) -> None:
    """Refuses masks that hold only 0 and 255 if 255 is ignored, because only one class would be left.

    Args:
        masks: mask files of a split; all are read only if a sample holds no other value.
        ignored: values of ignored pixels.
        skip: whether to skip masks that cannot be read.

    Raises:
        DataError: the masks hold no other value.
    """
    binary = {0, IGNORED}
    if IGNORED in ignored and all(find_values(some, skip).keys() == binary for some in (sample_evenly(masks), masks)):
        raise DataError(
            f"The masks in {masks[0].parent} hold only the values 0, {IGNORED}, and {IGNORED} is ignored: name the "
            f"values of the classes, such as {values_option([0, IGNORED])}."
        )


def count_classes(found: Mapping[int, Path], ignored: Collection[int], folder: Path) -> int:
    """Returns the number of classes in masks whose values are 0, 1, … without the ignored ones.

    Args:
        found: all values in the training masks, each with a file that holds it.
        ignored: values of ignored pixels.
        folder: folder of the masks, for messages.

    Raises:
        DataError: the masks hold other values, too many, or only one.
    """
    values = sorted(found.keys() - set(ignored))
    if not values:
        raise DataError(f"Every value in the masks of {folder} is ignored; change --data.ignored.")
    last = values[-1]
    for value in (values[0], last):
        check_value(value, found[value])
    if len(values) == 1:
        raise DataError(
            f"The masks in {folder} hold the value {last} alone, but two classes are needed: name all classes with "
            "--data.classes or in classes.txt if the others are rare."
        )
    summary = f"The masks in {folder} hold {len(values)} values up to {last} ({found[last]})"
    if len(values) > MAX_CLASSES:
        raise DataError(f"{summary}, more than the {MAX_CLASSES} classes that are possible: store class indices.")
    expected = default_values(values, ignored)
    if tuple(values) != expected:
        raise DataError(
            f"{summary}, and not {format_values(expected)}: name the classes with --data.classes or in classes.txt, or "
            f"their values with {values_option(values)} and ignored values with --data.ignored."
        )
    return len(values)
