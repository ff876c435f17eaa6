"""Finding pictures that cannot be used before a training trips over them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, ImageError
from .split import Split

AnySplit = TypeVar("AnySplit", bound=Split)


def find_invalid_images(
    split: Split,
    progress: Callable[[Iterable[str]], Iterable[str]] = iter,
    look: Callable[[int], object] | None = None,
) -> dict[int, str]:
    """Reads every picture: what is wrong, by index, with those that cannot be read or are not as annotated.

    Args:
        split: its pictures are read.
        progress: sees every picture's fault pass by, an empty one for a whole picture, such as a progress bar does.
        look: reads what belongs to an index, and looks at it, in several threads; its DataError or ImageError is the
            fault. None takes ``split.image``.
    """
    read = look or split.image

    def fault(index: int) -> str:
        try:
            read(index)
        except (DataError, ImageError) as error:
            return str(error)
        return ""

    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        faults = progress(threads.map(fault, range(len(split))))
        return {index: text for index, text in enumerate(faults) if text}


def drop_invalid_images(split: AnySplit) -> tuple[AnySplit, tuple[str, ...]]:
    """The split without the pictures that cannot be used, and a sentence for each of those.

    Raises:
        DataError: none is left.
    """
    faults = find_invalid_images(split)
    whole = np.ones(len(split), dtype=bool)
    whole[list(faults)] = False
    if not whole.any():
        raise DataError(f"None of {len(split)} pictures of {split.source} can be used: {next(iter(faults.values()))}")
    return split.keep(whole), tuple(faults.values())


def missing_files(names: NDArray[np.str_], folder: Path) -> list[str]:
    """Those of ``names`` that are no file in ``folder`` or in the folders within it that they name.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"There is no image folder {folder}.")
    # one listing a folder: asking for each file takes minutes on a network
    there: dict[str, set[str]] = {}
    missing: list[str] = []
    for name in names.tolist():
        inner, file = os.path.split(name)
        if inner not in there:
            there[inner] = listed(folder / inner)
        if file not in there[inner]:
            missing.append(name)
    return missing


def listed(folder: Path) -> set[str]:
    """Names of what is in ``folder``, none where there is no such folder."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}
