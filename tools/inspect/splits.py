"""What looking at data begins with, whatever the task: reading its splits, and every picture of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from tqdm import tqdm

from ...errors import DataError
from ...tasks.broken import find_invalid_images
from ...tasks.data import DataModule
from ...tasks.split import OnInvalid, Split

SPLITS = ("train", "val", "test")
TRAINED_ON = ("train", "val")

S = TypeVar("S", bound=Split)


class Reading(NamedTuple, Generic[S]):
    """What became of the splits of a data set.

    Attributes:
        splits: those that can be read; records that can be left out are.
        not_read: why the others cannot.
        refused: why a training would not take some of those that can, as it leaves nothing out.
        broken: what a training does with what cannot be used.
    """

    splits: dict[str, S]
    not_read: dict[str, str]
    refused: dict[str, str]
    broken: OnInvalid


def read_splits(data: DataModule[S]) -> Reading[S]:
    """Reads the splits as a training does and, where it would refuse one, without what cannot be used.

    Raises:
        DataError: there is no split that can be read.
    """
    asked = data.on_invalid
    splits: dict[str, S] = {}
    errors: dict[str, DataError | OSError] = {}
    refused: dict[str, str] = {}
    for name in SPLITS:
        for broken in dict.fromkeys((asked, "skip")):
            data.on_invalid = broken
            try:
                splits[name] = data.read(name)
                break
            except (DataError, OSError) as error:  # data of one's own may have no file for one of them
                errors[name] = error
        if name in splits and name in errors:
            refused[name] = str(errors.pop(name))
    if not splits:
        raise errors[SPLITS[0]]
    return Reading(splits, {name: str(error) for name, error in errors.items()}, refused, asked)


def stops(data: DataModule[S], reading: Reading[S], broken: Mapping[str, Sequence[str]] | None) -> list[str]:
    """Where a training would stop, a sentence each.

    Args:
        data: that was read.
        reading: its splits.
        broken: by split, what is wrong with pictures or masks; None where they were not read.
    """
    found = [f"{name} could not be read: {reading.not_read[name]}" for name in TRAINED_ON if name in reading.not_read]
    found += [reading.refused[name] for name in TRAINED_ON if name in reading.refused]
    data.splits = dict(reading.splits)
    try:
        data.check()
    except DataError as error:
        found.append(str(error))
    for name, said in (broken or {}).items():
        if name not in TRAINED_ON or not said:
            continue
        images = len(reading.splits[name])
        if len(said) == images:
            found.append(f"None of {images} images of {name} can be used: {said[0]}")
        elif reading.broken == "raise":
            found.append(
                f"{len(said)} of {images} images of {name} cannot be used: --data.on_invalid=skip leaves them out."
            )
    return found


def faults(name: str, split: Split, look: Callable[[int], object] | None = None) -> list[str]:
    """What is wrong with the pictures of a split, with a progress bar; see :func:`.broken.find_invalid_images`."""

    def progress(passing: Iterable[str]) -> Iterable[str]:
        return tqdm(passing, desc=f"Reading {name}", total=len(split), unit=" images", dynamic_ncols=True)

    return list(find_invalid_images(split, progress, look).values())
