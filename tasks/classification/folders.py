"""A folder for each class, as users have them: stray files among the pictures, folders within folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..images import SUFFIXES
from .labelled import LabelledImages, check_classes

MOST_NAMED = 5  # of the files that are no pictures


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the folders in ``folder``, sorted; hidden ones are nobody's classes.

    Raises:
        DataError: there is no such folder, or there are not two of them.
    """
    if not folder.is_dir():
        raise DataError(f"There is no data folder {folder}: pass yours with --data.root=FOLDER.")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not stray_folder(entry.name))
    check_classes(names, folder)
    return tuple(names)


def stray_folder(name: str) -> bool:
    """Whether a folder is one that programs leave behind, as .ipynb_checkpoints and __MACOSX are."""
    return name.startswith((".", "__"))


def read_folders(folder: Path, classes: Sequence[str], every_class: bool) -> LabelledImages:
    """Pictures of the folders in ``folder`` that are called as ``classes`` are, and of the folders in those.

    Args:
        folder: holds the folders.
        classes: names of the classes in the order of their labels.
        every_class: each of them must have a picture.

    Raises:
        DataError: there is a folder that is no class, none for a class that must have one, or no picture in it.
    """
    strange = [name for name in class_folders(folder) if name not in classes]
    if strange:
        raise DataError(
            f"{folder} holds the class {strange[0]}, which training does not know: its classes are "
            f"{', '.join(classes[:MOST_NAMED])}{', …' if len(classes) > MOST_NAMED else ''}."
        )
    names: list[str] = []
    labels: list[int] = []
    stray: list[str] = []
    for label, name in enumerate(classes):
        before = len(names)
        for path in sorted(files_below(folder / name)):
            relative = path.relative_to(folder).as_posix()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith("."):
                names.append(relative)
                labels.append(label)
            else:
                stray.append(relative)
        if every_class and len(names) == before:
            raise DataError(f"{folder / name} holds no pictures: fill the folder, or remove it.")
    stray += [entry.name for entry in sorted(folder.iterdir()) if entry.is_file()]
    return LabelledImages(
        source=folder,
        folder=folder,
        names=np.array(names, dtype=np.str_),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        notes=(no_pictures(folder, stray),) if stray else (),
    )


def files_below(folder: Path) -> list[Path]:
    """All files in ``folder`` and in folders within it, except in stray ones."""
    if not folder.is_dir():
        return []
    found: list[Path] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += [] if stray_folder(entry.name) else files_below(entry)
        else:
            found.append(entry)
    return found


def no_pictures(folder: Path, stray: Sequence[str]) -> str:
    """Counts and names the files in ``folder`` that are no pictures."""
    count = f"{len(stray)} file{'' if len(stray) == 1 else 's'} that {'is' if len(stray) == 1 else 'are'} no picture"
    if len(stray) <= MOST_NAMED:
        named = ", ".join(stray)
    else:
        kinds = Counter(Path(name).suffix or Path(name).name for name in stray)
        most = ", ".join(f"{number} × {kind}" for kind, number in kinds.most_common(MOST_NAMED))
        named = f"{', '.join(stray[:MOST_NAMED])}, …; {most}"
    return f"{folder} holds {count}{'' if len(stray) == 1 else 's'}, left out: {named}."
