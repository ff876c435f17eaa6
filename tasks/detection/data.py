"""Detection data: from folders in COCO's or Pascal VOC's layout to batches of uint8 images and padded boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError
from ...heads.predictions import BoxTargets
from ..data import DataModule
from ..files import resolve_split_name
from .coco import read_coco
from .metrics import CocoEvaluator
from .split import DetectionSplit, Sample
from .transforms import Augmentation, Resize, SSDAugmentation
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
    """Data for :class:`DetectionTask`; a data set of your own implements :meth:`read`.

    Args:
        augmentation: augmentation of training images; None takes SSD's crop and flip.
    """

    role = "detection"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(self, *, augmentation: Augmentation | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.augmentation = augmentation or SSDAugmentation()

    def evaluator(self, split: str) -> CocoEvaluator:
        """The evaluator of detections on ``split``."""
        return CocoEvaluator(self.splits[split].truth())

    def check_splits(self) -> None:
        super().check_splits()
        first, *others = self.splits.values()
        for other in others:
            if list(other.category_ids) != list(first.category_ids):
                raise DataError(f"{first.source} and {other.source} have different category ids.")


class CocoDetection(DetectionDataModule):
    """A data set in COCO's layout: images in ``root/SPLIT``, objects in ``root/annotations/instances_SPLIT.json``.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads, if there is one.

    Raises:
        DataError: in ``setup``, if the data is not there or not COCO.
    """

    def __init__(
        self,
        root: str,
        train: str = "train2017",
        val: str = "val2017",
        test: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}

    def read(self, split: str) -> DetectionSplit:
        name = resolve_split_name(self.root, self.names, split)
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
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}
        self.class_names = classes
        self.difficult = difficult

    def read(self, split: str) -> DetectionSplit:
        name = resolve_split_name(self.root, self.names, split)
        annotations = read_voc(self.root, name, self.class_names, self.on_invalid)
        if split == "train" and not self.difficult:
            return annotations.take_objects(~annotations.difficult)
        return annotations

    def evaluator(self, split: str) -> CocoEvaluator:
        return VocEvaluator(self.splits[split].truth())
