"""What looking at data begins with, whatever the task: reading its splits, and every picture of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from tqdm import tqdm

from ...tasks.broken import broken_pictures
from ...tasks.data import Data
from ...tasks.errors import DataError
from ...tasks.split import Split

SPLITS = ("train", "val", "test")

S = TypeVar("S", bound=Split)


def read_splits(data: Data[S]) -> tuple[dict[str, S], dict[str, str]]:
    """The splits that can be read, and why the others cannot; records that can be left out are.

    Raises:
        DataError: there is no split that can be read.
    """
    data.broken = "skip"
    splits: dict[str, S] = {}
    errors: dict[str, DataError | OSError] = {}
    for name in SPLITS:
        try:
            splits[name] = data.read(name)
        except (DataError, OSError) as error:  # data of one's own may have no file for one of them
            errors[name] = error
    if not splits:
        raise errors[SPLITS[0]]
    return splits, {name: str(error) for name, error in errors.items()}


def contradiction(data: Data[S], splits: dict[str, S]) -> str | None:
    """How ``splits`` contradict each other, if they do."""
    data.splits = dict(splits)
    try:
        data.check()
    except DataError as error:
        return str(error)
    return None


def faults(name: str, split: Split, look: Callable[[int], object] | None = None) -> list[str]:
    """What is wrong with the pictures of a split, with a progress bar; see :func:`.broken.broken_pictures`."""

    def progress(passing: Iterable[str]) -> Iterable[str]:
        return tqdm(passing, desc=f"Reading {name}", total=len(split), unit=" images", dynamic_ncols=True)

    return list(broken_pictures(split, progress, look).values())
