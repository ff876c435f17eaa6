"""Classification data: from folders of pictures to batches of uint8 images and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data import Data
from ..errors import DataError
from ..images import Image
from ..preprocessing import Preprocessing
from ..sampling import Key
from ..split import Broken
from .folders import class_folders, read_folders
from .labelled import LabelledImages, split_off
from .transforms import Augmentation, CropAugmentation, Resize


class ClassificationBatch(NamedTuple):
    """What a step works on.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: ``[N]`` int64, classes from 0.
        indices: ``[N]``, which images of the split these are.
    """

    images: Tensor
    targets: Tensor
    indices: Tensor


class Item(NamedTuple):
    """The network's input ``[H, W, 3]`` uint8, its class, and which image of the split it is."""

    image: Image
    label: int
    number: int


class ClassificationDataset(Dataset[Item]):
    """Images of one split, augmented and laid into the network's input.

    All that is random about an item follows from its key's seed.
    """

    def __init__(self, split: LabelledImages, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: Key) -> Item:
        index, seed, size = key
        preprocessing = self.preprocessing if size is None else replace(self.preprocessing, size=size)
        image = self.augmentation(self.split.image(index), preprocessing, np.random.default_rng(seed))
        return Item(image, int(self.split.labels[index]), index)


def collate(items: Sequence[Item]) -> ClassificationBatch:
    """Stacks items of one size into a batch."""
    images, labels, indices = zip(*items, strict=True)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return ClassificationBatch(stacked, torch.tensor(labels), torch.tensor(indices))


class ClassificationData(Data[LabelledImages]):
    """Data that :class:`ClassificationTask` trains and evaluates on; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images a step and process.
        workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training; None takes random crops and flips.
        broken: "raise" or "skip" pictures that cannot be read, see :class:`litmobile.tasks.data.Data`.
        seed: of the order and the augmentation; None takes the run's.
        sizes: sides of square inputs to train on in turn, with batches that keep the work a step level;
            ``batch_size`` is meant for ``preprocessing.size``. None trains at that size alone.
    """

    def __init__(
        self,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, workers, broken, seed, sizes)
        self.augmentation = augmentation or CropAugmentation()

    def dataset(self, split: str, training: bool) -> ClassificationDataset:
        return ClassificationDataset(self.splits[split], self.input, self.augmentation if training else Resize())

    def collate(self, items: list[Any]) -> ClassificationBatch:
        return collate(items)


class FolderClassification(ClassificationData):
    """A folder for each class; ``root/train``, ``root/val`` and ``root/test`` hold them, or ``root`` alone.

    Args:
        root: the folder.
        train: folder in ``root`` to train on, "." for ``root`` itself; None takes "train" if there is one, else ".".
        val: folder to validate on; None takes "val" if there is one, and else splits a share off training's.
        test: folder that ``litmobile test`` reads; None takes "test".
        val_share: share of every class that is split off where there is nothing to validate on.
        split_seed: what decides which images these are; the same for every run unless it is given.
        classes: names of the classes in the order of their labels; None takes all of training's folders, sorted.
        batch_size: see :class:`ClassificationData`, as for the rest.
        workers: processes that read and augment.
        augmentation: while training.
        broken: "raise" or "skip" pictures that cannot be read.
        seed: of the order and the augmentation.
        sizes: sides of square inputs to train on in turn.

    Raises:
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    def __init__(
        self,
        root: str,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        val_share: float = 0.1,
        split_seed: int = 0,
        classes: list[str] | None = None,
        batch_size: int = 32,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
        sizes: list[int] | None = None,
    ) -> None:
        super().__init__(batch_size, workers, augmentation, broken, seed, sizes)
        if not 0 < val_share < 1:
            raise ValueError(f"val_share must be in 0 … 1, neither included, not {val_share}.")
        self.root = Path(root).expanduser()
        self.folders = {"train": train, "val": val, "test": test}
        self.val_share = val_share
        self.split_seed = split_seed
        self.class_names = classes

    def folder(self, split: str) -> Path | None:
        """Where the pictures of ``split`` are; None where "val" has no folder of its own."""
        given = self.folders[split]
        if given is not None:
            return self.root / given
        if (self.root / split).is_dir():
            return self.root / split
        return self.root if split == "train" else None

    def read(self, split: str) -> LabelledImages:
        train, folder = self.folder("train"), self.folder(split)
        assert train is not None
        classes = self.class_names or class_folders(train)
        if folder is None and split == "test":
            raise DataError(f"{self.root} has no folder test: name another with --data.test=FOLDER.")
        if folder is not None and (split != "train" or self.folder("val") is not None):
            return read_folders(folder, classes, every_class=split == "train")
        parts = split_off(read_folders(train, classes, every_class=True), self.val_share, self.split_seed)
        return parts[("train", "val").index(split)]
