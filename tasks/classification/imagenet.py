"""ImageNet (ILSVRC 2012) as its users have it: a folder for each WordNet id, or validation as Kaggle packs it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError, format_name
from ..files import check_root, format_list, is_image_file, read_text
from ..split import OnInvalid
from .data import ClassificationDataModule
from .folders import class_folders, read_folders
from .lists import read_rows
from .split import ClassificationSplit, check_classes

KAGGLE = "ILSVRC/Data/CLS-LOC"
SOLUTION = "LOC_val_solution.csv"
MAPPING = "LOC_synset_mapping.txt"
WORDNET_ID = re.compile(r"n\d{8}")


class ImageNetClassification(ClassificationDataModule):
    """ImageNet: ``root/train/n01440764/*.JPEG``, and ``root/val`` the same, or flat beside Kaggle's lists.

    ``root`` may be what Kaggle's archive unpacks to as well, with the pictures in ILSVRC/Data/CLS-LOC. Classes are in
    the order of their WordNet ids, as published weights have them; they are called by the words of
    LOC_synset_mapping.txt, if that is beside train and val or up to three folders above, and else by their ids. A flat
    val needs LOC_val_solution.csv in such a place.

    Args:
        root: the folder.

    Raises:
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    def __init__(
        self,
        root: str,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()

    def read(self, split: str) -> ClassificationSplit:
        if split == "test":
            raise DataError("The labels of ImageNet's test pictures are not published: litmobile validate measures.")
        base = find(self.root)
        if not (base / split).is_dir():
            raise DataError(f"{base} has no folder {split}, where ImageNet's pictures for it belong.")
        words = read_words(base)
        ids = wordnet_ids(base, words)
        if split == "train" or class_folders(base / "val"):
            found = read_folders(base / split, ids, every_class=split == "train")
        else:
            found = read_flat(base, ids, self.on_invalid)
        return replace(found, classes=class_names(ids, words))


def find(root: Path) -> Path:
    """The folder at or in ``root`` that holds train or val."""
    check_root(root)
    for base in (root, root / KAGGLE, root / "Data/CLS-LOC"):
        if (base / "train").is_dir() or (base / "val").is_dir():
            return base
    raise DataError(
        f"{root} holds neither train nor val, and no {KAGGLE} with these: pass ImageNet's folder with "
        f"--data.root=FOLDER."
    )


def beside(base: Path, name: str) -> Path | None:
    """The file ``name`` in ``base`` or up to three folders above."""
    folders = [base, *base.absolute().parents[:3]]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def read_words(base: Path) -> dict[str, str]:
    """The words that each WordNet id stands for, where there is a list of them."""
    file = beside(base, MAPPING)
    words: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines() if file else (), start=1):
        key, _, value = line.strip().partition(" ")
        if line.strip() and not (WORDNET_ID.fullmatch(key) and value.strip()):
            raise DataError(f"{file}, line {number}: {line.strip()!r} is no WordNet id and words, as n01440764 tench.")
        if line.strip():
            words[key] = value.strip()
    return words


def wordnet_ids(base: Path, words: dict[str, str]) -> tuple[str, ...]:
    """The classes, sorted: folders of train; where there is no train, ids of the list, or else folders of val.

    Raises:
        DataError: folders are called otherwise, or are not there.
    """
    folder = base / "train" if (base / "train").is_dir() else base / "val"
    if folder.name == "val" and words:
        return tuple(sorted(words))
    names = class_folders(folder)
    strange = [name for name in names if not WORDNET_ID.fullmatch(name)]
    if strange:
        raise DataError(
            f"{folder} holds the folder {format_name(strange[0])}, which is no WordNet id such as n01440764: folders "
            "called otherwise are for FolderClassification."
        )
    packed = [file for file in files_in(folder) if file.endswith(".tar")]
    if packed and not names:
        raise DataError(
            f"{folder} holds {len(packed)} archives such as {packed[0]} and no folders: unpack each into a folder of "
            "its name."
        )
    check_classes(names, folder)
    return names


def class_names(ids: Sequence[str], words: dict[str, str]) -> tuple[str, ...]:
    """Words of each id, with the id behind them where several classes, as the two cranes, have the same words."""
    names = [words.get(key, key) for key in ids]
    counts = Counter(names)
    return tuple(f"{name} ({key})" if counts[name] > 1 else name for key, name in zip(ids, names, strict=True))


def files_in(folder: Path) -> list[str]:
    """Names of the files in ``folder``, sorted."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file())


def read_flat(base: Path, ids: Sequence[str], on_invalid: OnInvalid) -> ClassificationSplit:
    """Validation pictures in one folder, labelled by Kaggle's list.

    Raises:
        DataError: there is no list, it names a class that training lacks, or list and folder have not the same
            pictures; where ``on_invalid`` is "skip", those without label or file are left out and noted.
    """
    folder = base / "val"
    pictures = [name for name in files_in(folder) if is_image_file(name)]
    if not pictures:
        raise DataError(f"{folder} holds no pictures.")
    solution = beside(base, SOLUTION)
    if solution is None:
        raise DataError(
            f"{folder} holds pictures but no folders for classes, and there is no {SOLUTION} in {base} or up to three "
            f"folders above to say what they show."
        )
    labels = read_solution(solution, ids)
    stems = {name: name.rpartition(".")[0] for name in pictures}
    known = [name for name in pictures if stems[name] in labels]
    unlabelled = [name for name in pictures if stems[name] not in labels]
    missing = sorted(set(labels) - set(stems.values()))
    notes: list[str] = []
    if unlabelled:
        name = format_name(unlabelled[0])
        notes.append(f"{folder} holds {len(unlabelled)} pictures that {solution} lacks, {name} among them.")
    if missing:
        notes.append(f"{solution} lists {len(missing)} pictures that {folder} lacks, {missing[0]} among them.")
    if notes and on_invalid == "raise":
        raise DataError(notes[0])
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array(known, dtype=np.str_),
        labels=np.array([labels[stems[name]] for name in known], dtype=np.int64),
        classes=tuple(ids),
        notes=tuple(notes),
    )


def read_solution(file: Path, ids: Sequence[str]) -> dict[str, int]:
    """The label of every picture that Kaggle's list names, by its name without suffix.

    A line is such as "ILSVRC2012_val_00048981,n03995372 85 1 499 272": picture, WordNet id and box, id and box, …
    """
    numbers = {key: number for number, key in enumerate(ids)}
    labels: dict[str, int] = {}
    for line, image, prediction in zip(*read_rows(file, "ImageId", "PredictionString"), strict=True):
        key = prediction.split()[0]
        if key not in numbers:
            raise DataError(
                f"{file}, line {line}: the class {format_name(key)} is unknown to training: its classes are {format_list(ids)}."
            )
        labels[image] = numbers[key]
    return labels
