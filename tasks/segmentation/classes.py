"""How many classes masks have, what they are called, and whether the two agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path

import numpy as np

from ...errors import DataError, format_name
from ...heads.predictions import IGNORED
from ..files import read_text
from .masks import MOST_CLASSES, check_possible, read_values, some_of, spelled

MOST_SPELLED = 20

#: what masks hold, and the first of the files that does
Found = dict[int, Path]


def read_names(file: Path) -> tuple[str, ...] | None:
    """Names of classes, a line each; None where there is no such file.

    Raises:
        DataError: it cannot be read, names none or too many, or one twice.
    """
    if not file.is_file():
        return None
    names = tuple(line.strip() for line in read_text(file).rstrip().split("\n"))
    if "" in names[:-1]:
        raise DataError(f"{file} has no name in line {names.index('') + 1}: each line names the class of its number.")
    names = tuple(filter(None, names))
    check_names(names, file)
    return names


def check_names(names: Sequence[str], source: Path | str) -> None:
    """Raises DataError unless ``source`` names 1 to 254 classes, each once."""
    if not 1 <= len(names) <= MOST_CLASSES:
        raise DataError(f"{source} names {len(names)} classes, where 1 to {MOST_CLASSES} are possible.")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{source} names the class {format_name(twice[0])} twice.")


def check_counted(names: Sequence[str], ignored: Collection[int]) -> None:
    """Raises DataError where it is not clear which values ``names`` stand for, as one of 0, 1, … is ignored."""
    among = sorted(set(ignored) & set(range(len(names))))
    if among:
        values = numbers(len(names), ignored)
        shown = ",".join(map(str, values)) if len(values) <= MOST_SPELLED else "…"
        raise DataError(
            f"The value {among[0]} is ignored, and also the place of the class {format_name(names[among[0]])} among "
            f"{len(names)}: say what masks hold for each of them, such as --data.values=[{shown}]."
        )


def numbers(classes: int, ignored: Collection[int]) -> tuple[int, ...]:
    """What masks hold for so many ``classes``: 0, 1, … but for what is ``ignored``."""
    return tuple(islice((value for value in count() if value not in ignored), classes))


def values_in(masks: Sequence[Path], skip: bool = False) -> Found:
    """All values that occur in ``masks``, with the first file that holds each.

    Args:
        masks: files.
        skip: passes over masks that cannot be read.

    Raises:
        DataError: a mask cannot be read.
    """

    def values(mask: Path) -> list[int]:
        try:
            return np.unique(read_values(mask)).tolist()
        except DataError:
            if skip:
                return []
            raise

    found: Found = {}
    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        for mask, of_one in zip(masks, threads.map(values, masks), strict=True):
            for value in of_one:
                found.setdefault(value, mask)
    return found


def check_not_binary(masks: Sequence[Path], ignored: Collection[int], skip: bool) -> None:
    """Refuses masks of 0 and 255 alone, where 255 counts as no class: nothing would be left to tell apart.

    Args:
        masks: of a split; all are read only where a few leave doubts.
        ignored: values that count as no class.
        skip: passes over masks that cannot be read.

    Raises:
        DataError: there are no other values.
    """
    both = {0, IGNORED}
    if IGNORED in ignored and all(values_in(few, skip).keys() == both for few in (some_of(masks), masks)):
        raise DataError(
            f"{masks[0].parent} has masks of the values 0, {IGNORED} alone, and {IGNORED} counts as no class: name the "
            f"values of the classes, such as --data.values=[0,{IGNORED}]."
        )


def count_classes(found: Found, ignored: Collection[int], folder: Path) -> int:
    """How many classes masks have that hold all the values ``found``.

    Args:
        found: in all masks of training.
        ignored: values that count as no class.
        folder: of the masks, for messages.

    Raises:
        DataError: there is one value alone, there are too many, or others than the first whole numbers.
    """
    values = sorted(found.keys() - set(ignored))
    if not values:
        raise DataError(f"{folder} has no mask with a value that is not ignored: there is nothing to learn.")
    last = values[-1]
    for value in (values[0], last):
        check_possible(value, found[value])
    if len(values) == 1:
        raise DataError(
            f"{folder} has masks of the value {last} alone, and one class leaves nothing to tell apart: name all "
            "classes with --data.classes or in classes.txt if others are rare."
        )
    if len(values) > MOST_CLASSES:
        raise DataError(
            f"{folder} has masks of {len(values)} values up to {last} ({found[last]}), more than the {MOST_CLASSES} "
            "classes that are possible: store the numbers of classes."
        )
    if tuple(values) != numbers(len(values), ignored):
        shown = ",".join(map(str, values)) if len(values) <= MOST_SPELLED else "…"
        raise DataError(
            f"{folder} has masks of {len(values)} values up to {last} ({found[last]}), and not "
            f"{spelled(numbers(len(values), ignored))}: name the classes with --data.classes or in classes.txt, or "
            f"what stands for each with --data.values=[{shown}], and for none with --data.ignored."
        )
    return len(values)
