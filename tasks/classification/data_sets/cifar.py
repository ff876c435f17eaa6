"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), read by torchvision from the published Python files."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity, extract_archive

from ....errors import DataError, UserError
from ..data import HoldoutClassification
from ..split import ClassificationSplit

Labels = Literal["fine", "coarse"]
DATA_SETS = (CIFAR10, CIFAR100)


class CifarClassification(HoldoutClassification):
    """CIFAR-10 or CIFAR-100 in the published Python files; validates on a fraction of the training images.

    ``litmobile test`` reads the published test set, 10,000 images of 32×32 pixels.

    Args:
        root: the published archive, e.g. ``cifar-10-python.tar.gz``, or the folder that it unpacks to, e.g.
            ``cifar-10-batches-py``, or the folder that contains one of these.
        labels: "fine" takes the 10 or 100 classes, "coarse" the 20 superclasses of CIFAR-100.

    Raises:
        DataError: in ``setup``, if the files are missing or are not the published ones.
    """

    def __init__(self, root: str, labels: Labels = "fine", **options: Any) -> None:
        super().__init__(**options)
        if labels not in ("fine", "coarse"):
            raise UserError(f"labels must be fine or coarse, not {labels!r}.")
        self.root = Path(root).expanduser()
        self.labels: Labels = labels

    @property
    def has_val(self) -> bool:
        return False

    def read_stored(self, split: str) -> ClassificationSplit:
        return read_cifar(self.root, split, self.labels)


def read_cifar(root: Path, split: str, labels: Labels = "fine") -> ClassificationSplit:
    """Reads "train" or "test" of the data set at ``root``; an archive is unpacked into a temporary folder.

    Raises:
        DataError: the data set does not exist or has no such labels, or a file is missing or not the published one.
    """
    data_set, path = find_data_set(root.absolute())
    if labels == "coarse" and data_set is CIFAR10:
        raise DataError(f"{path} is CIFAR-10, which has no coarse labels: leave out --data.labels.")
    if path.is_dir():
        return read_folder(data_set, path, split, labels)
    check_published(path, data_set.tgz_md5, data_set)
    with TemporaryDirectory() as folder:
        extract_archive(path, folder)
        unpacked = read_folder(data_set, Path(folder, data_set.base_folder), split, labels)
    return replace(unpacked, source=path, folder=path)


def find_data_set(root: Path) -> tuple[type[CIFAR10], Path]:
    """Returns the data set at ``root``, and its folder or archive.

    Raises:
        DataError: ``root`` has no data set, or more than one.
    """
    found = (
        [(kind, root) for kind in DATA_SETS if root.exists() and root.name in (kind.base_folder, kind.filename)]
        or [(kind, root / kind.base_folder) for kind in DATA_SETS if (root / kind.base_folder).is_dir()]
        or [(kind, root / kind.filename) for kind in DATA_SETS if (root / kind.filename).is_file()]
    )
    if not found:
        raise DataError(
            f"{root} contains no CIFAR data: download {CIFAR10.url} or {CIFAR100.url}, and pass the file or its "
            "unpacked folder with --data.root."
        )
    if len(found) > 1:
        raise DataError(f"{root} contains {' and '.join(path.name for _, path in found)}: pass one with --data.root.")
    return found[0]


def read_folder(data_set: type[CIFAR10], folder: Path, split: str, labels: Labels) -> ClassificationSplit:
    """Reads "train" or "test" from the published files in ``folder``."""
    # pickles can run code, so only published ones are loaded
    for file, md5 in (*data_set.train_list, *data_set.test_list, (data_set.meta["filename"], data_set.meta["md5"])):
        check_published(folder / file, md5, data_set)
    images = data_set(folder.parent, train=split == "train")
    files = [file for file, _ in (data_set.train_list if split == "train" else data_set.test_list)]
    targets, classes = images.targets, images.classes
    if labels == "coarse":  # torchvision reads only the fine labels
        targets = load_pickle(folder / files[0])["coarse_labels"]
        classes = load_pickle(folder / data_set.meta["filename"])["coarse_label_names"]
    return ClassificationSplit(
        source=folder,
        folder=folder,
        names=np.array([f"{file}, image {k}" for file in files for k in range(len(targets) // len(files))]),
        labels=np.array(targets, dtype=np.int64),
        classes=tuple(classes),
        pixels=np.ascontiguousarray(images.data),
    )


def load_pickle(file: Path) -> dict[str, Any]:
    """Loads a pickle of Python 2; ``file`` must be a published one."""
    return pickle.loads(file.read_bytes(), encoding="latin1")


def check_published(file: Path, md5: str, data_set: type[CIFAR10]) -> None:
    """Raises DataError unless ``file`` exists and has the published checksum."""
    if not check_integrity(file, md5):
        problem = "is not the published file" if file.is_file() else "does not exist"
        raise DataError(f"{file} {problem}: unpack {data_set.filename} again, or download it from {data_set.url}.")
