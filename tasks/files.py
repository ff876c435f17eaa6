"""Looking for pictures in folders as users have them: stray files among them, folders within folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, format_name
from .images import IMAGE_SUFFIXES

MOST_NAMED = 5  # of the files that are no pictures
#: what unpacking, Python, and the systems of servers and desktops leave behind
STRAY_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "lost+found")
#: what folders of the splits are called, the first that is there is taken
SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def check_root(folder: Path) -> None:
    """Raises DataError where there is no such ``folder``."""
    if not folder.is_dir():
        raise DataError(f"There is no data folder {folder}: pass yours with --data.root=FOLDER.")


def resolve_split_name(root: Path, names: Mapping[str, str | None], split: str) -> str:
    """The name of "train", "val" or "test" in the data set.

    Raises:
        DataError: it has none, or there is no such folder.
    """
    name = names[split]
    if name is None:
        raise DataError(f"This data has no {split} split: name one with --data.{split}=NAME.")
    check_root(root)
    return name


def read_image_set(listing: Path) -> list[str]:
    """The first word of every line of one of Pascal VOC's lists: names of images without their kind of file.

    Raises:
        DataError: there is no such list, or it is not encoded as UTF-8.
    """
    if not listing.is_file():
        there = ", ".join(sorted(file.stem for file in listing.parent.glob("*.txt"))[:8]) or "no lists"
        raise DataError(f"There is no list {listing}: {listing.parent} has {there}.")
    return [line.split()[0] for line in read_text(listing).splitlines() if line.split()]


def read_text(file: Path) -> str:
    """The text of ``file``, which is UTF-8, with or without a byte order mark.

    Raises:
        DataError: it is something else.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not encoded as UTF-8: store it so.") from error


def is_stray_folder(name: str) -> bool:
    """Whether a folder is one that programs leave behind, as .ipynb_checkpoints and __MACOSX are."""
    return name.startswith(".") or name in STRAY_FOLDERS


def is_image_file(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")


def iterate_files(folder: Path | str, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Files in ``folder`` and in folders within it, except in stray ones, in the order of the file system.

    Asks nothing about single files but what the listing says: a data set may have a million. Links to a folder that
    holds them are not followed.

    Args:
        folder: where to look; nothing is found where there is no such folder.
        prefix: of the names that are given.
        above: folders that hold this one and have been looked into.
    """
    if not Path(folder).is_dir():
        return
    held_by = (*above, str(folder))
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield prefix + entry.name
            elif not is_stray_folder(entry.name) and not (entry.is_symlink() and is_one_of(entry.path, held_by)):
                yield from iterate_files(entry.path, f"{prefix}{entry.name}/", held_by)


def is_one_of(folder: str, others: Sequence[str]) -> bool:
    """Whether ``folder`` is another name of one of the ``others``."""
    return any(Path(folder).samefile(other) for other in others)


def format_list(classes: Sequence[str]) -> str:
    """The first names, for messages."""
    return (
        f"{', '.join(format_name(name) for name in classes[:MOST_NAMED])}{', …' if len(classes) > MOST_NAMED else ''}"
    )


def format_stray_files(folder: Path, stray: Sequence[str]) -> str:
    """Counts and names the files in ``folder`` that are no pictures."""
    count = f"{len(stray)} file{'' if len(stray) == 1 else 's'} that {'is' if len(stray) == 1 else 'are'} no picture"
    if len(stray) <= MOST_NAMED:
        named = ", ".join(format_name(name) for name in stray)
    else:
        kinds = Counter(Path(name).suffix or Path(name).name for name in stray)
        most = ", ".join(f"{number} × {format_name(kind)}" for kind, number in kinds.most_common(MOST_NAMED))
        named = f"{', '.join(format_name(name) for name in stray[:MOST_NAMED])}, …; {most}"
    return f"{folder} holds {count}{'' if len(stray) == 1 else 's'}, left out: {named}."


def find_missing_files(names: NDArray[np.str_], folder: Path) -> list[str]:
    """Returns those of ``names`` that are not files in ``folder`` or in the sub-folders that they name.

    Raises:
        DataError: ``folder`` does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"The image folder {folder} does not exist.")
    # one listing per folder: asking for each file takes minutes on a network drive
    present: dict[str, set[str]] = {}
    missing: list[str] = []
    for name in names.tolist():
        inner, file = os.path.split(name)
        if inner not in present:
            present[inner] = file_names(folder / inner)
        if file not in present[inner]:
            missing.append(name)
    return missing


def file_names(folder: Path) -> set[str]:
    """Names of all entries of ``folder``; empty if it does not exist."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries}
