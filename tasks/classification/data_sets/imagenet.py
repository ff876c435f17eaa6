"""ImageNet (ILSVRC 2012): one folder per WordNet id, or the validation images as Kaggle packs them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError, format_name
from ...data.files import check_root, format_list, is_folder, is_image_file, read_text, scan_folder
from ...data.split import OnInvalid
from ..data import ClassificationDataModule
from ..split import ClassificationSplit, check_classes
from .folders import list_class_folders, read_folders
from .lists import read_rows

KAGGLE = "ILSVRC/Data/CLS-LOC"
SOLUTION = "LOC_val_solution.csv"
MAPPING = "LOC_synset_mapping.txt"
WORDNET_ID = re.compile(r"n\d{8}")


class ImageNetClassification(ClassificationDataModule):
    """ImageNet: ``root/train/n01440764/*.JPEG``, and ``root/val`` likewise, or flat with Kaggle's list of labels.

    Class indices follow the sorted WordNet ids, as in published weights. Class names are the words in
    LOC_synset_mapping.txt if this file is beside ``train``, or up to three folders above; otherwise they are the ids. A
    flat ``val`` needs LOC_val_solution.csv in one of these folders.

    Args:
        root: folder that contains ``train`` and ``val``, or the folder that Kaggle's archive unpacks to, which contains
            them in ILSVRC/Data/CLS-LOC.

    Raises:
        DataError: in ``setup``, if a folder, an image or a label is missing.
    """

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()

    def read(self, split: str) -> ClassificationSplit:
        if split == "test":
            raise DataError("The test labels of ImageNet are not published: use litmobile validate instead.")
        base = find_base(self.root)
        if not (base / split).is_dir():
            raise DataError(f"{base} has no folder {split}, which should contain ImageNet's images.")
        words = read_words(base)
        ids = read_wordnet_ids(base, words)
        if split == "train" or list_class_folders(base / "val"):
            images = read_folders(base / split, ids, require_all=split == "train")
        else:
            images = read_flat(base, ids, self.on_invalid)
        return replace(images, classes=name_classes(ids, words))


def find_base(root: Path) -> Path:
    """Returns the folder at or in ``root`` that contains train or val."""
    check_root(root)
    for base in (root, root / KAGGLE, root / "Data/CLS-LOC"):
        if (base / "train").is_dir() or (base / "val").is_dir():
            return base
    raise DataError(f"{root} contains neither train nor val, nor {KAGGLE} with these: set --data.root=FOLDER.")


def find_list(base: Path, name: str) -> Path | None:
    """Returns the file ``name`` in ``base`` or up to three folders above, or None."""
    folders = [base, *base.absolute().parents[:3]]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def read_words(base: Path) -> dict[str, str]:
    """Reads the words for each WordNet id; empty without a list of them."""
    file = find_list(base, MAPPING)
    words: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines() if file else (), start=1):
        key, _, value = line.strip().partition(" ")
        if line.strip() and not (WORDNET_ID.fullmatch(key) and value.strip()):
            raise DataError(f"{file}, line {number}: {line.strip()!r} is not an id and words, such as n01440764 tench.")
        if line.strip():
            words[key] = value.strip()
    return words


def read_wordnet_ids(base: Path, words: dict[str, str]) -> tuple[str, ...]:
    """Returns the sorted classes: the folders of train; without train, the ids in the list of words, or val's folders.

    Raises:
        DataError: a folder is not named by a WordNet id, or fewer than two folders exist.
    """
    folder = base / "train" if (base / "train").is_dir() else base / "val"
    if folder.name == "val" and words:
        return tuple(sorted(words))
    names = list_class_folders(folder)
    other = [name for name in names if not WORDNET_ID.fullmatch(name)]
    if other:
        raise DataError(
            f"{folder} contains the folder {format_name(other[0])}, but a WordNet id such as n01440764 is expected: "
            "read other folders with --data=FolderClassification."
        )
    archives = [file for file in list_files(folder) if file.endswith(".tar")]
    if archives and not names:
        raise DataError(
            f"{folder} contains no folders but {len(archives)} archives such as {archives[0]}: unpack each into a "
            "folder of its name."
        )
    check_classes(names, folder)
    return names


def name_classes(ids: Sequence[str], words: dict[str, str]) -> tuple[str, ...]:
    """Returns the words of each id, followed by the id if several classes have the same words, as the two cranes."""
    names = [words.get(key, key) for key in ids]
    counts = Counter(names)
    return tuple(f"{name} ({key})" if counts[name] > 1 else name for key, name in zip(ids, names, strict=True))


def list_files(folder: Path) -> list[str]:
    """Returns the names of the files in ``folder``, sorted."""
    return sorted(entry.name for entry in scan_folder(folder) if not is_folder(entry))


def read_flat(base: Path, ids: Sequence[str], on_invalid: OnInvalid) -> ClassificationSplit:
    """Reads validation images in one folder, labelled by Kaggle's list.

    If ``on_invalid`` is "skip", images without label and labels without image are left out and noted.

    Raises:
        DataError: the folder has no images, the list is missing or names an unknown class, or images and labels do not
            match.
    """
    folder = base / "val"
    images = [name for name in list_files(folder) if is_image_file(name)]
    if not images:
        raise DataError(f"{folder} contains no images.")
    solution = find_list(base, SOLUTION)
    if solution is None:
        raise DataError(
            f"{folder} contains images but no class folders: put {SOLUTION} into {base} or up to three folders above."
        )
    labels = read_solution(solution, ids)
    stems = {name: name.rpartition(".")[0] for name in images}
    labelled = [name for name in images if stems[name] in labels]
    unlabelled = [name for name in images if stems[name] not in labels]
    missing = sorted(set(labels) - set(stems.values()))
    notes: list[str] = []
    if unlabelled:
        name = format_name(unlabelled[0])
        notes.append(f"{solution} lacks {len(unlabelled)} of {len(images)} images of {folder}, such as {name}.")
    if missing:
        notes.append(f"{folder} lacks {len(missing)} of {len(labels)} images of {solution}, such as {missing[0]}.")
    if notes and on_invalid == "raise":
        raise DataError(notes[0])
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array(labelled, dtype=np.str_),
        labels=np.array([labels[stems[name]] for name in labelled], dtype=np.int64),
        classes=tuple(ids),
        notes=tuple(notes),
    )


def read_solution(file: Path, ids: Sequence[str]) -> dict[str, int]:
    """Reads the class index of every image in Kaggle's list, by its name without suffix.

    A line is such as "ILSVRC2012_val_00048981,n03995372 85 1 499 272": image, WordNet id and box, id and box, …
    """
    indices = {key: index for index, key in enumerate(ids)}
    labels: dict[str, int] = {}
    for line, image, prediction in zip(*read_rows(file, "ImageId", "PredictionString"), strict=True):
        key = prediction.split()[0]
        if key not in indices:
            raise DataError(f"{file}, line {line}: {format_name(key)} is not one of the classes {format_list(ids)}.")
        labels[image] = indices[key]
    return labels
