"""A folder for each class, as users have them: stray files among the pictures, folders within folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError, readable
from ..images import SUFFIXES
from .labelled import LabelledImages

MOST_NAMED = 5  # of the files that are no pictures
#: what unpacking, Python, and the systems of servers and desktops leave behind
STRAY_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir", "$RECYCLE.BIN", "lost+found")


def check_root(folder: Path) -> None:
    """Raises DataError where there is no such ``folder``."""
    if not folder.is_dir():
        raise DataError(f"There is no data folder {folder}: pass yours with --data.root=FOLDER.")


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the folders in ``folder``, sorted; hidden ones are nobody's classes.

    Raises:
        DataError: there is no such folder.
    """
    check_root(folder)
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and not stray_folder(entry.name)))


def stray_folder(name: str) -> bool:
    """Whether a folder is one that programs leave behind, as .ipynb_checkpoints and __MACOSX are."""
    return name.startswith(".") or name in STRAY_FOLDERS


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read_folders(folder: Path, classes: Sequence[str], every_class: bool) -> LabelledImages:
    """Pictures of the folders in ``folder`` that are called as ``classes`` are, and of the folders in those.

    Args:
        folder: holds the folders.
        classes: names of the classes in the order of their labels.
        every_class: each of them must have a picture.

    Raises:
        DataError: there is a folder that is no class, none for a class that must have one, or no picture in it.
    """
    known = set(classes)
    strange = [name for name in class_folders(folder) if name not in known]
    if strange:
        raise DataError(
            f"{folder} holds the class {readable(strange[0])}, which training does not know: its classes are "
            f"{listed(classes)}."
        )
    names: list[str] = []
    labels: list[int] = []
    stray: list[str] = []
    for label, name in enumerate(classes):
        files = sorted(files_below(folder / name))
        pictures = [file for file in files if is_picture(file.rpartition("/")[2])]
        if every_class and not pictures:
            raise DataError(f"{folder}/{readable(name)} holds no pictures: fill the folder, or remove it.")
        names += [f"{name}/{file}" for file in pictures]
        labels += [label] * len(pictures)
        if len(pictures) < len(files):
            stray += [f"{name}/{file}" for file in files if not is_picture(file.rpartition("/")[2])]
    with os.scandir(folder) as entries:
        stray += sorted(entry.name for entry in entries if entry.is_file())
    return LabelledImages(
        source=folder,
        folder=folder,
        names=np.array(names, dtype=np.str_),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        notes=(no_pictures(folder, stray),) if stray else (),
    )


def files_below(folder: Path | str, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
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
            elif not stray_folder(entry.name) and not (entry.is_symlink() and is_one_of(entry.path, held_by)):
                yield from files_below(entry.path, f"{prefix}{entry.name}/", held_by)


def is_one_of(folder: str, others: Sequence[str]) -> bool:
    """Whether ``folder`` is another name of one of the ``others``."""
    return any(Path(folder).samefile(other) for other in others)


def listed(classes: Sequence[str]) -> str:
    """The first few of ``classes``, for messages."""
    return f"{', '.join(readable(name) for name in classes[:MOST_NAMED])}{', …' if len(classes) > MOST_NAMED else ''}"


def no_pictures(folder: Path, stray: Sequence[str]) -> str:
    """Counts and names the files in ``folder`` that are no pictures."""
    count = f"{len(stray)} file{'' if len(stray) == 1 else 's'} that {'is' if len(stray) == 1 else 'are'} no picture"
    if len(stray) <= MOST_NAMED:
        named = ", ".join(readable(name) for name in stray)
    else:
        kinds = Counter(Path(name).suffix or Path(name).name for name in stray)
        most = ", ".join(f"{number} × {readable(kind)}" for kind, number in kinds.most_common(MOST_NAMED))
        named = f"{', '.join(readable(name) for name in stray[:MOST_NAMED])}, …; {most}"
    return f"{folder} holds {count}{'' if len(stray) == 1 else 's'}, left out: {named}."
