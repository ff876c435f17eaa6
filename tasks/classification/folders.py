"""A folder for each class, as users have them: stray files among the pictures, folders within folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, format_name
from ..files import (
    SPLIT_FOLDERS,
    check_root,
    format_list,
    format_stray_files,
    is_image_file,
    is_stray_folder,
    iterate_files,
)
from .data import HoldoutClassification
from .split import ClassificationSplit, check_classes


class FolderClassification(HoldoutClassification):
    """A folder for each class; ``root/train``, ``root/val`` and ``root/test`` hold them, or ``root`` alone.

    Args:
        root: the folder.
        train: folder in ``root`` to train on, "." for ``root`` itself; None takes "train" or "training" if there is
            one, else ".".
        val: folder to validate on; None takes "val", "valid" or "validation" if there is one, and else splits a share
            off training's.
        test: folder that ``litmobile test`` reads; None takes "test" or "testing".
        classes: names of the classes in the order of their labels; None takes all of training's folders, sorted.

    Raises:
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    def __init__(
        self,
        root: str,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        classes: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if classes is not None:
            check_classes(classes, "classes")
        self.root = Path(root).expanduser()
        self.folders = {"train": train, "val": val, "test": test}
        self.class_names = classes

    @property
    def has_val(self) -> bool:
        return self.folder("val") is not None

    def folder(self, split: str) -> Path | None:
        """Where the pictures of ``split`` are; None where there is no folder for "val" or "test"."""
        given = self.folders[split]
        if given is not None:
            return self.root / given
        found = [self.root / name for name in SPLIT_FOLDERS[split] if (self.root / name).is_dir()]
        return found[0] if found else self.root if split == "train" else None

    def read_stored(self, split: str) -> ClassificationSplit:
        check_root(self.root)
        folder = self.folder(split)
        if folder is None:
            raise DataError(f"{self.root} has no folder {split}: name another with --data.{split}=FOLDER.")
        return read_folders(folder, self.class_names or self.classes_of_training(), every_class=split == "train")

    def classes_of_training(self) -> tuple[str, ...]:
        """Names of the folders that training has.

        Raises:
            DataError: they are not there, too few, or no classes but splits.
        """
        folder = self.folder("train")
        assert folder is not None
        classes = class_folders(folder)
        splits = sorted({name for names in SPLIT_FOLDERS.values() for name in names} & set(classes))
        if splits and self.folders["train"] is None and folder == self.root:
            raise DataError(
                f"{folder} has no folder train, but {' and '.join(splits)}, which are called as splits are: "
                "name the folder to train on with --data.train=FOLDER."
            )
        check_classes(classes, folder)
        return classes


def class_folders(folder: Path) -> tuple[str, ...]:
    """Names of the folders in ``folder``, sorted; hidden ones are nobody's classes.

    Raises:
        DataError: there is no such folder.
    """
    check_root(folder)
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and not is_stray_folder(entry.name)))


def read_folders(folder: Path, classes: Sequence[str], every_class: bool) -> ClassificationSplit:
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
            f"{folder} holds the class {format_name(strange[0])}, which training does not know: its classes are "
            f"{format_list(classes)}."
        )
    names: list[str] = []
    labels: list[int] = []
    stray: list[str] = []
    empty: list[str] = []
    for label, name in enumerate(classes):
        files = sorted(iterate_files(folder / name))
        pictures = [file for file in files if is_image_file(file.rpartition("/")[2])]
        if every_class and not pictures:
            raise DataError(f"{folder}/{format_name(name)} holds no pictures: fill the folder, or remove it.")
        if not pictures:
            empty.append(name)
        names += [f"{name}/{file}" for file in pictures]
        labels += [label] * len(pictures)
        if len(pictures) < len(files):
            stray += [f"{name}/{file}" for file in files if not is_image_file(file.rpartition("/")[2])]
    with os.scandir(folder) as entries:
        stray += sorted(entry.name for entry in entries if entry.is_file())
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array(names, dtype=np.str_),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(classes),
        notes=(
            *([format_stray_files(folder, stray)] if stray else []),
            *([f"{folder} holds no pictures of {format_list(empty)}, about which it says nothing."] if empty else []),
        ),
    )
