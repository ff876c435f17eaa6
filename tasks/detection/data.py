"""Detection data: data modules for COCO's and Pascal VOC's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ..data.files import resolve_split_name
from ..data.module import DataModule, log_notes
from .batch import collate
from .coco_backends import BackendChoice, choose_backend
from .formats.coco import read_coco
from .formats.voc import read_voc
from .metrics import CocoEvaluator
from .split import DetectionSplit
from .transforms import Augmentation, Resize, SSDAugmentation
from .voc_metrics import VocEvaluator


class DetectionDataModule(DataModule[DetectionSplit]):
    """Data for :class:`DetectionTask`. A subclass for your own data set implements :meth:`read`.

    Args:
        augmentation: augmentation of training images. Default: ``SSDAugmentation()``, crop and flip.
        filter_empty: whether to leave out training images without objects, as torchvision's recipes do. Such images
            teach the network nothing with hard negatives, unless ``min_negatives`` of the head is set.
        evaluator: package that computes COCO's figures: "hotcoco" or "pycocotools", whose figures are equal. "auto" is
            hotcoco where it is installed, because it is much faster.
    """

    role = "detection"
    evaluation_transform = Resize()
    collate = staticmethod(collate)

    def __init__(
        self,
        *,
        augmentation: Augmentation | None = None,
        filter_empty: bool = False,
        evaluator: BackendChoice = "auto",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        choose_backend(evaluator)  # checked now, to fail before the data is read
        self.augmentation = augmentation or SSDAugmentation()
        self.filter_empty = filter_empty
        self.evaluator: BackendChoice = evaluator

    def read_checked(self, name: str) -> DetectionSplit:
        split = super().read_checked(name)
        if name != "train" or not self.filter_empty:
            return split
        has_objects = np.diff(split.starts) > 0
        if not has_objects.any():
            raise DataError(f"{split.source} has no objects, so filter_empty would leave out all of its images.")
        log_notes((f"{split.source}: filter_empty leaves out {np.sum(~has_objects)} images without objects.",))
        return split.take(has_objects)

    def build_evaluator(self, split: str) -> CocoEvaluator:
        """Builds the evaluator of detections on ``split``."""
        return CocoEvaluator(self.splits[split].ground_truth, self.evaluator)

    def check_splits(self) -> None:
        first, *others = self.splits.values()
        for other in others:
            if other.classes != first.classes or list(other.category_ids) != list(first.category_ids):
                raise DataError(f"{first.source} and {other.source} have different categories; both need the same.")


class CocoDetection(DetectionDataModule):
    """Data set in COCO's layout: images in ``root/SPLIT``, objects in ``root/annotations/instances_SPLIT.json``.

    Args:
        root: folder of the data set, e.g. data/coco.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` evaluates. Default: none.

    Raises:
        DataError: in ``setup``, if files are missing or invalid.
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
    """Data set in Pascal VOC's layout: ``JPEGImages``, ``Annotations/*.xml`` and ``ImageSets/Main/SPLIT.txt``.

    The evaluation adds AP50 as VOC computes it to COCO's figures.

    Args:
        root: folder of the data set, e.g. VOCdevkit/VOC2012.
        train: name of the split to train on, e.g. trainval.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` evaluates. Default: none.
        classes: class names in the order of their indices, e.g. [cat, dog]. Default: all that occur, sorted.
        difficult: whether to train on objects that are marked difficult; the evaluation ignores them either way.

    Raises:
        DataError: in ``setup``, if files are missing or invalid.
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
        data = read_voc(self.root, name, self.class_names, self.on_invalid)
        return data.take_objects(~data.difficult) if split == "train" and not self.difficult else data

    def build_evaluator(self, split: str) -> CocoEvaluator:
        return VocEvaluator(self.splits[split].ground_truth, self.evaluator)
