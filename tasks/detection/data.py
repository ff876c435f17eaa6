"""Detection data: from folders in COCO's or Pascal VOC's layout to batches of uint8 images and padded boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ...errors import DataError
from ...heads.predictions import BoxTargets
from ..data import DataModule
from ..files import named_split
from ..preprocessing import Preprocessing
from ..sampling import SampleKey
from ..split import OnInvalid
from .coco import read_coco
from .metrics import CocoEvaluator
from .split import DetectionSplit
from .transforms import Augmentation, Resize, Sample, SSDAugmentation
from .voc import read_voc
from .voc_metrics import VocEvaluator

# batches are padded to a multiple of this many boxes, so that few different shapes occur
BOXES_STEP = 16


class DetectionBatch(NamedTuple):
    """What a step works on.

    Attributes:
        images: ``[N, 3, H, W]`` uint8, channels last in memory.
        targets: the objects.
        indices: ``[N]``, which images of the split these are.
    """

    images: Tensor
    targets: BoxTargets
    indices: Tensor


class DetectionDataset(Dataset[tuple[Sample, int]]):
    """Images of one split with their objects, augmented and laid into the network's input.

    All that is random about an item follows from its key's seed.
    """

    def __init__(self, annotations: DetectionSplit, preprocessing: Preprocessing, augmentation: Augmentation) -> None:
        self.annotations = annotations
        self.preprocessing = preprocessing
        self.augmentation = augmentation

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, key: SampleKey) -> tuple[Sample, int]:
        index, seed, _ = key
        image = self.annotations.image(index)
        boxes, labels = self.annotations.objects(index)
        random = np.random.default_rng(seed)
        return self.augmentation(Sample(image, boxes, labels), self.preprocessing, random), index


def collate(items: Sequence[tuple[Sample, int]]) -> DetectionBatch:
    """Stacks samples of one size into a batch."""
    samples = [sample for sample, _ in items]
    most = max(len(sample.labels) for sample in samples)
    rows = BOXES_STEP * max(1, -(-most // BOXES_STEP))
    boxes: NDArray[np.float32] = np.zeros((len(samples), rows, 4), dtype=np.float32)
    labels: NDArray[np.int64] = np.full((len(samples), rows), -1, dtype=np.int64)
    for row, sample in enumerate(samples):
        boxes[row, : len(sample.boxes)] = sample.boxes
        labels[row, : len(sample.labels)] = sample.labels
    images = torch.from_numpy(np.stack([sample.image for sample in samples])).permute(0, 3, 1, 2)
    targets = BoxTargets(torch.from_numpy(boxes), torch.from_numpy(labels))
    return DetectionBatch(images, targets, torch.tensor([index for _, index in items]))


class DetectionDataModule(DataModule[DetectionSplit]):
    """Data that :class:`DetectionTask` trains and evaluates on; a data set of your own implements :meth:`read`.

    Args:
        batch_size: images a step and process.
        num_workers: processes that read and augment; 0 reads in the training process.
        augmentation: while training; None takes SSD's crop and flip.
        on_invalid: "raise" or "skip" pictures that cannot be read, see :class:`litmobile.tasks.data.DataModule`.
        seed: of the order and the augmentation; None takes the run's.
    """

    role = "detection"

    def __init__(
        self,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, on_invalid, seed)
        self.augmentation = augmentation or SSDAugmentation()

    def evaluator(self, split: str) -> CocoEvaluator:
        """What measures detections on ``split``."""
        return CocoEvaluator(self.splits[split].truth())

    def check(self) -> None:
        super().check()
        first, *others = self.splits.values()
        for other in others:
            if list(other.category_ids) != list(first.category_ids):
                raise DataError(f"{first.source} and {other.source} have different ids of categories.")

    def dataset(self, split: str, training: bool) -> DetectionDataset:
        return DetectionDataset(self.splits[split], self.input, self.augmentation if training else Resize())

    def collate(self, items: list[Any]) -> DetectionBatch:
        return collate(items)


class CocoDetection(DetectionDataModule):
    """A data set in COCO's layout: images in ``root/SPLIT``, objects in ``root/annotations/instances_SPLIT.json``.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads, if there is one.
        batch_size: see :class:`DetectionDataModule`, as for the rest.
        num_workers: processes that read and augment.
        augmentation: while training.
        on_invalid: "raise" or "skip" pictures that cannot be read.
        seed: of the order and the augmentation.

    Raises:
        DataError: in ``setup``, if the data is not there or not COCO.
    """

    def __init__(
        self,
        root: str,
        train: str = "train2017",
        val: str = "val2017",
        test: str | None = None,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, augmentation, on_invalid, seed)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}

    def read(self, split: str) -> DetectionSplit:
        name = named_split(self.root, self.names, split)
        return read_coco(self.root / "annotations" / f"instances_{name}.json", self.root / name, self.on_invalid)


class VocDetection(DetectionDataModule):
    """A data set in Pascal VOC's layout: ``JPEGImages``, ``Annotations/*.xml`` and ``ImageSets/Main/SPLIT.txt``.

    Evaluation gives AP50 by VOC's rule beside COCO's figures.

    Args:
        root: the folder, such as VOCdevkit/VOC2012.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads, if there is one.
        classes: names of the classes in the order of their labels; None takes all that occur, sorted.
        difficult: train on objects that are marked difficult, too; evaluation overlooks them either way.
        batch_size: see :class:`DetectionDataModule`, as for the rest.
        num_workers: processes that read and augment.
        augmentation: while training.
        on_invalid: "raise" or "skip" pictures and XML files that cannot be read.
        seed: of the order and the augmentation.

    Raises:
        DataError: in ``setup``, if the data is not there or not VOC's.
    """

    def __init__(
        self,
        root: str,
        train: str = "train",
        val: str = "val",
        test: str | None = None,
        classes: list[str] | None = None,
        difficult: bool = True,
        batch_size: int = 32,
        num_workers: int = 4,
        augmentation: Augmentation | None = None,
        on_invalid: OnInvalid = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, num_workers, augmentation, on_invalid, seed)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}
        self.class_names = classes
        self.difficult = difficult

    def read(self, split: str) -> DetectionSplit:
        name = named_split(self.root, self.names, split)
        annotations = read_voc(self.root, name, self.class_names, self.on_invalid)
        if split == "train" and not self.difficult:
            return annotations.keep(objects=~annotations.difficult)
        return annotations

    def evaluator(self, split: str) -> CocoEvaluator:
        return VocEvaluator(self.splits[split].truth())
