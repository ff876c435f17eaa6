"""Reads one folder per class; stray files among the images and nested folders are allowed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, format_name
from ..data.files import (
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
    """One folder per class, in ``root/train``, ``root/val`` and ``root/test``, or in ``root`` itself.

    Args:
        root: folder that contains the splits or the classes, e.g. ``data/pets``.
        train: training folder in ``root``, e.g. ``images``; "." is ``root`` itself. Default: "train" or "training" if
            one exists, else ".".
        val: validation folder in ``root``. Default: "val", "valid" or "validation" if one exists, and otherwise
            ``val_fraction`` of the training images.
        test: folder for ``litmobile test``. Default: "test" or "testing".
        classes: folder names in the order of the class indices, e.g. ``[cat, dog]``. Default: all training folders,
            sorted by name.

    Raises:
        DataError: in ``setup``, if a folder is missing, or has other classes than training.
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
        """Returns the folder of ``split``; None for a missing "val" or "test"."""
        name = self.folders[split]
        if name is not None:
            return self.root / name
        existing = [self.root / name for name in SPLIT_FOLDERS[split] if (self.root / name).is_dir()]
        return existing[0] if existing else self.root if split == "train" else None

    def read_stored(self, split: str) -> ClassificationSplit:
        check_root(self.root)
        folder = self.folder(split)
        if folder is None:
            raise DataError(f"{self.root} has no folder {split}: name another with --data.{split}=FOLDER.")
        return read_folders(folder, self.class_names or self.read_train_classes(), require_all=split == "train")

    def read_train_classes(self) -> tuple[str, ...]:
        """Returns the names of the training folders.

        Raises:
            DataError: fewer than two folders exist, or they are splits instead of classes.
        """
        folder = self.folder("train")
        assert folder is not None
        classes = list_class_folders(folder)
        splits = sorted({name for names in SPLIT_FOLDERS.values() for name in names} & set(classes))
        if splits and self.folders["train"] is None and folder == self.root:
            raise DataError(
                f"{folder} has no folder train, but contains {' and '.join(splits)}: name the folder to train on with "
                "--data.train=FOLDER."
            )
        check_classes(classes, folder)
        return classes


def list_class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the folders in ``folder``, sorted, without hidden ones and those that programs create.

    Raises:
        DataError: ``folder`` does not exist.
    """
    check_root(folder)
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and not is_stray_folder(entry.name)))


def read_folders(folder: Path, classes: Sequence[str], require_all: bool) -> ClassificationSplit:
    """Lists the images in the class folders of ``folder``, nested folders included.

    Args:
        folder: contains one folder per class.
        classes: names of the classes, in the order of their indices.
        require_all: whether every class must have an image.

    Raises:
        DataError: a folder is not a class, a required class has no folder or no image, or no folder has images.
    """
    known = set(classes)
    unknown = [name for name in list_class_folders(folder) if name not in known]
    if unknown:
        raise DataError(
            f"{folder} contains the folder {format_name(unknown[0])}, which is not one of the training classes "
            f"{format_list(classes)}."
        )
    names: list[str] = []
    stray: list[str] = []
    counts: list[int] = []
    for name in classes:
        files = sorted(iterate_files(folder / name, prefix=f"{name}/"))
        images = [file for file in files if is_image_file(file.rpartition("/")[2])]
        if require_all and not images:
            raise DataError(f"{folder}/{format_name(name)} contains no images: add some, or remove the folder.")
        names += images
        counts.append(len(images))
        if len(images) < len(files):
            stray += [file for file in files if not is_image_file(file.rpartition("/")[2])]
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    with os.scandir(folder) as entries:
        stray += sorted(entry.name for entry in entries if entry.is_file())
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array(names, dtype=np.str_),
        labels=np.repeat(np.arange(len(classes)), counts),
        classes=tuple(classes),
        notes=(
            *([format_stray_files(folder, stray)] if stray else []),
            *([f"{folder} contains no images of {format_list(empty)}."] if empty else []),
        ),
    )
