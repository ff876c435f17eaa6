"""Detection data: data modules for a user's own class and for folders of many formats."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ...errors import DataError, format_count
from ..data.files import format_list
from ..data.module import DataModule, log_notes
from ..data.split import TrainValSplit
from .batch import collate
from .classes import ClassSelection, align_classes, parse_selection, select_classes
from .evaluation.coco_backends import BackendChoice, choose_backend
from .evaluation.metrics import CocoEvaluator
from .evaluation.voc_metrics import VocEvaluator
from .formats.base import Format
from .formats.coco_folder import CocoFormat
from .formats.listing import Listing, find_split
from .formats.recognise import AUTO, recognise_format
from .formats.voc import VocFormat
from .split import DetectionSplit
from .transforms import Augmentation, Resize, SSDAugmentation


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
        if name != "train":
            if not (~split.ground_truth.is_crowd).any():
                log_notes((f"{split.source} has no objects, so there will be no figures and no best checkpoint.",))
            return split
        if not len(split.boxes):
            raise DataError(f"{split.source} has no objects to train on, so there is nothing to learn.")
        counts = np.bincount(split.labels, minlength=len(split.classes))
        unused = [name for name, count in zip(split.classes, counts, strict=True) if not count]
        if unused:
            log_notes((f"{split.source} has classes without objects to train on: {format_list(unused)}.",))
        if not self.filter_empty:
            return split
        has_objects = np.diff(split.starts) > 0
        left_out = format_count(int(np.sum(~has_objects)), "images without objects")
        log_notes((f"{split.source}: filter_empty leaves out {left_out}.",))
        return split.take(has_objects)

    def build_evaluator(self, split: str) -> CocoEvaluator:
        """Builds the evaluator of detections on ``split``."""
        return CocoEvaluator(self.splits[split].ground_truth, self.evaluator)


class FolderDetection(DetectionDataModule):
    """Data set in a folder as it unpacks: COCO, Roboflow, Pascal VOC and others; the format is recognised.

    The training split defines the classes; those of the other splits are matched by name.

    Args:
        root: folder of the data set, e.g. /data/cells.
        train: name of the split to train on, as the folder calls it. Default: the one named like "train", or all
            images if the folder has no splits.
        val: name of the split to validate on. Default: the one named like "val" or "valid", or else ``val_fraction``
            of the training images.
        test: name of the split that ``litmobile test`` evaluates. Default: the one named like "test".
        format: format of the annotations, e.g. "coco". "auto" recognises it.
        images: pattern of the folder of a split's images in ``root``, e.g. "images/{split}". Default: any folder.
        annotations: pattern of a split's annotation file, or of the folder of its files, e.g. "{split}/labels.json".
            Default: any file.
        classes: class names to keep, in this order, e.g. [cat, dog], or classes to merge, e.g. {pet: [cat, dog]}.
            Default: all.
        difficult: whether to train on objects that are marked difficult; the evaluation ignores them either way.
        val_fraction: fraction of the training images to set aside without a validation split, e.g. 0.1.
        split_seed: seed that decides which images are set aside; change it for another choice.

    Raises:
        UserError: an option is out of range.
        DataError: in ``setup``, if the folder is in no known format, or files are missing or invalid.
    """

    #: format that a subclass is for
    default_format: ClassVar[str] = AUTO

    def __init__(
        self,
        root: str,
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        format: str | None = None,
        images: str | None = None,
        annotations: str | None = None,
        classes: ClassSelection | None = None,
        difficult: bool = True,
        val_fraction: float = 0.1,
        split_seed: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.format_name = format or self.default_format
        self.patterns = (images, annotations)
        self.names = {"train": train, "val": val, "test": test}
        self.selection = None if classes is None else parse_selection(classes)
        self.difficult = difficult
        self.train_val_split = TrainValSplit[DetectionSplit](val_fraction, split_seed, self.verify_images)
        self._reference: DetectionSplit | None = None  # the split that defines the classes

    @cached_property
    def format(self) -> Format:
        """The format of the folder, recognised when it is first needed."""
        given = [name for name in self.names.values() if name is not None]
        listing = Listing(self.root, *self.patterns, splits=given)
        found = recognise_format(listing, self.format_name)
        log_notes((f"{self.root} is in the format of {found.title}: {found.describe()}.", *found.notes))
        return found

    def read(self, split: str) -> DetectionSplit:
        if split != "test" and self.names["val"] is None and find_split(self.format.splits, "val") is None:
            return self.train_val_split.part(split, lambda: self.read_stored("train"))
        return self.read_stored(split)

    def read_stored(self, split: str) -> DetectionSplit:
        """Returns all images that are stored as "train", "val" or "test", with the classes of the training split.

        Raises:
            DataError: the folder has no such split, or it cannot be used.
        """
        data = self._read_own_classes(split)
        if self._reference is None:
            self._reference = data if split == "train" else self._read_reference(data)
        data = align_classes(data, self._reference)
        return data.take_objects(~data.difficult) if split == "train" and not self.difficult else data

    def _read_reference(self, own: DetectionSplit) -> DetectionSplit:
        """Returns the training split, or ``own`` if there is none, e.g. where only images for validation are stored."""
        if self._find_name("train") is None:
            return own
        try:
            return self._read_own_classes("train")
        except DataError as error:
            log_notes((f"The classes are those of {own.source}, because training data cannot be read: {error}",))
            return own

    def _read_own_classes(self, split: str) -> DetectionSplit:
        name = self._find_name(split)
        if name is None:
            asked = f"named like {split}" if self.names[split] is None else f"{self.names[split]!r}"
            if set(self.format.splits) == {""} and split != "test":
                raise DataError(
                    f"{self.root} has no splits; with --data.train=null --data.val=null, validation images are drawn."
                )
            unnamed = PurePosixPath(self.format.splits.get("", "")).name or "one without a name"
            names = format_list([name or unnamed for name in self.format.splits])
            raise DataError(f"{self.root} has no split {asked}; name one of its splits with --data.{split}: {names}.")
        data = self.format.read(name, self.on_invalid)
        return data if self.selection is None else select_classes(data, self.selection)

    def _find_name(self, split: str) -> str | None:
        """Returns the folder's own name of "train", "val" or "test"; None if it has no such split."""
        name = self.names[split]
        if name is None:
            return find_split(self.format.splits, split)
        return name if name in self.format.splits else None

    def build_evaluator(self, split: str) -> CocoEvaluator:
        kind = VocEvaluator if self.format.name == VocFormat.name else CocoEvaluator
        return kind(self.splits[split].ground_truth, self.evaluator)


class CocoDetection(FolderDetection):
    """Data set with COCO's JSON files.

    Args:
        root: folder of the data set, e.g. /data/coco; for other options see :class:`FolderDetection`.
    """

    default_format = CocoFormat.name

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)


class VocDetection(FolderDetection):
    """Data set with Pascal VOC's XML files. The evaluation adds AP50 as VOC computes it to COCO's figures.

    Args:
        root: folder of the data set, e.g. VOCdevkit/VOC2012; for other options see :class:`FolderDetection`.
    """

    default_format = VocFormat.name

    def __init__(self, root: str, **options: Any) -> None:
        super().__init__(root, **options)
