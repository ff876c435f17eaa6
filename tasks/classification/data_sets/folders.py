"""Reads one folder per class; stray files among the images and nested folders are allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError, format_count, format_name
from ...data.files import (
    SPLIT_FOLDERS,
    check_root,
    find_split_word,
    format_list,
    format_stray_files,
    format_unreadable_images,
    is_folder,
    is_image_file,
    is_link_to,
    is_stray_folder,
    is_unreadable_image,
    iterate_files,
    normalise_path,
    scan_folder,
)
from ..data import HoldoutClassification
from ..split import ClassificationSplit, check_classes


class FolderClassification(HoldoutClassification):
    """One folder per class, in ``root/train``, ``root/val`` and ``root/test``, or in ``root`` itself.

    Args:
        root: folder that contains the splits or the classes, e.g. ``data/pets``.
        train: training folder in ``root``, e.g. ``images``; "." is ``root`` itself. Default: "train" or "training" if
            one exists, else ".".
        val: validation folder in ``root``. Default: "val", "valid" or "validation" if one exists, and otherwise
            ``val_fraction`` of the training images.
        test: folder for ``litmobile test``. Default: "test" or "testing".
            Folders such as training_set and test_set are found if each folder in ``root`` is named like another split.
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
        inner = list_class_folders(self.root) if self.root.is_dir() else ()
        existing = [name for usual in SPLIT_FOLDERS[split] for name in inner if name.lower() == usual]
        words = {find_split_word(name): name for name in inner}
        if not existing and "train" in words and None not in words and 1 < len(words) == len(inner):
            existing = [words[split]] if split in words else []  # e.g. training_set and test_set
        return self.root / existing[0] if existing else self.root if split == "train" else None

    def read_stored(self, split: str) -> ClassificationSplit:
        check_root(self.root)
        folder = self.folder(split)
        if folder is None:
            raise DataError(f"{self.root} has no folder {split}: name another with --data.{split}=FOLDER.")
        data = read_folders(folder, self.class_names or self.read_train_classes(), require_all=split == "train")
        used = {self.folder(name) for name in self.folders}
        unused = [name for name in list_class_folders(self.root) if self.root / name not in used]
        if split != "train" or folder.parent != self.root or not unused:
            return data
        note = (
            f"{self.root} contains folders that are not used: {format_list(unused)}; name them with --data.val=FOLDER."
        )
        return replace(data, notes=(*data.notes, note))

    def read_train_classes(self) -> tuple[str, ...]:
        """Returns the names of the training folders.

        Raises:
            DataError: fewer than two folders exist, or they are splits instead of classes.
        """
        folder = self.folder("train")
        assert folder is not None
        classes = list_class_folders(folder)
        usual = {name for names in SPLIT_FOLDERS.values() for name in names}
        splits = [name for name in classes if name.lower() in usual]
        if splits and self.folders["train"] is None and folder == self.root:
            raise DataError(
                f"{folder} has no folder train, but contains {' and '.join(splits)}: name the folder to train on with "
                "--data.train=FOLDER."
            )
        if len(classes) < 2:
            check_layout(self.root, folder, classes)
        check_classes(classes, folder)
        return classes


def check_layout(root: Path, folder: Path, classes: Sequence[str]) -> None:
    """Raises DataError with the likely reason why ``folder`` in ``root`` has fewer than two ``classes``, if found."""
    if classes:
        inner = list_class_folders(folder / classes[0])
        if len(inner) > 1:
            nested = folder / classes[0]
            flag = f"--data.root={nested}" if folder == root else f"--data.train={nested.relative_to(root)}"
            raise DataError(
                f"{folder} contains only the folder {format_name(classes[0])}, which contains {format_list(inner)}: "
                f"pass {flag}."
            )
        return
    files = sorted(entry.name for entry in scan_folder(folder) if not is_folder(entry))
    images = [name for name in files if is_image_file(name)]
    unreadable = [name for name in files if is_unreadable_image(name)]
    if images:
        counted = format_count(len(images), "images")
        raise DataError(
            f"{folder} contains no classes, but {counted}: put each class into its own folder, or list images and "
            "labels in a CSV file for --data=ListClassification."
        )
    if unreadable:
        raise DataError(format_unreadable_images(folder, unreadable))


def list_class_folders(folder: Path) -> tuple[str, ...]:
    """Returns the names of the folders in ``folder``, sorted, without hidden ones and those that programs create.

    Raises:
        DataError: ``folder`` does not exist.
    """
    check_root(folder)
    folders = (entry for entry in scan_folder(folder) if is_folder(entry) and not is_link_to(entry, [str(folder)]))
    return tuple(sorted(entry.name for entry in folders if not is_stray_folder(entry.name)))


def read_folders(folder: Path, classes: Sequence[str], require_all: bool) -> ClassificationSplit:
    """Lists the images in the class folders of ``folder``, nested folders included.

    Args:
        folder: contains one folder per class.
        classes: names of the classes, in the order of their indices.
        require_all: whether every class must have an image.

    Raises:
        DataError: a folder is not a class, a required class has no folder or no image, or no folder has images.
    """
    spelled = {normalise_path(name): name for name in list_class_folders(folder)}
    known = set(map(normalise_path, classes))
    unknown = [name for key, name in spelled.items() if key not in known]
    if unknown:
        raise DataError(
            f"{folder} contains the folder {format_name(unknown[0])}, which is not one of the training classes "
            f"{format_list(classes)}."
        )
    names: list[str] = []
    others: list[str] = []
    counts: list[int] = []
    for name in (spelled.get(normalise_path(name), name) for name in classes):
        files = sorted(iterate_files(folder / name, prefix=f"{name}/", parents=(str(folder),)))
        images = [file for file in files if is_image_file(file.rpartition("/")[2])]
        if len(images) < len(files):
            others += [file for file in files if not is_image_file(file.rpartition("/")[2])]
        if require_all and not images:
            check_kinds(folder, [file for file in others if file.startswith(f"{name}/")])
            raise DataError(f"{folder}/{format_name(name)} contains no images: add some, or remove the folder.")
        names += images
        counts.append(len(images))
    if not names:
        check_kinds(folder, others)
    loose = sorted(entry.name for entry in scan_folder(folder) if not is_folder(entry))
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array(names, dtype=np.str_),
        labels=np.repeat(np.arange(len(classes)), counts),
        classes=tuple(classes),
        notes=(
            *note_other_files(folder, others, loose),
            *note_nested_images(folder, names, classes),
            *note_empty_classes(folder, counts, classes),
        ),
    )


def check_kinds(folder: Path, files: Sequence[str]) -> None:
    """Raises DataError if there are images of kinds that cannot be read among the ``files`` of ``folder``."""
    unreadable = [file for file in files if is_unreadable_image(file.rpartition("/")[2])]
    if unreadable:
        raise DataError(format_unreadable_images(folder, unreadable))


def note_other_files(folder: Path, others: Sequence[str], loose: Sequence[str]) -> Iterator[str]:
    """Yields a sentence for each kind of files that are left out.

    Args:
        folder: contains the class folders.
        others: files in class folders that are not images.
        loose: files in ``folder`` itself.
    """
    images = [file for file in loose if is_image_file(file)]
    rest = [*others, *(file for file in loose if not is_image_file(file))]
    unreadable = [file for file in rest if is_unreadable_image(file.rpartition("/")[2])]
    stray = [file for file in rest if not is_unreadable_image(file.rpartition("/")[2])]
    if images:
        counted = format_count(len(images), "images")
        yield f"{folder} contains {counted} outside its class folders, left out: {format_list(images)}."
    if unreadable:
        yield format_unreadable_images(folder, unreadable)
    if stray:
        yield format_stray_files(folder, stray)


def note_nested_images(folder: Path, names: Sequence[str], classes: Sequence[str]) -> Iterator[str]:
    """Yields a sentence if no image is in a class folder itself, because the inner folders may be the classes."""
    if names and all(name.count("/") > 1 for name in names):
        yield (
            f"{folder} has images only in sub-folders such as {format_name(names[0].rpartition('/')[0])}: the classes "
            f"are the outer folders {format_list(classes)}."
        )


def note_empty_classes(folder: Path, counts: Sequence[int], classes: Sequence[str]) -> Iterator[str]:
    """Yields a sentence that names the classes without images, if any."""
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        yield f"{folder} contains no images of {format_list(empty)}."
