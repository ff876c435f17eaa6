"""Pascal VOC segmentation: lists in ImageSets/Segmentation and palette masks in SegmentationClass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError
from ...data.files import find_missing_files, format_list, is_image_file, read_image_set, resolve_split_name
from ..classes import check_names
from ..data import SegmentationDataModule
from ..masks import ValueMaskReader
from ..split import SegmentationSplit
from .known_classes import VOC_CLASSES
from .pairs import Pairs, index_by_name


class VocSegmentation(SegmentationDataModule):
    """Pascal VOC: ``JPEGImages``, ``SegmentationClass/*.png`` and ``ImageSets/Segmentation/SPLIT.txt``.

    Pixels with the value 255, at object borders and where the class is unclear, are ignored.

    Args:
        root: folder that contains these three, e.g. VOCdevkit/VOC2012.
        train: list to train on, e.g. "trainaug" if the masks of SBD are in SegmentationClass.
        val: list to validate on.
        test: list that ``litmobile test`` evaluates, e.g. "val".
        classes: class names in the order of their mask values. Default: the background and VOC's twenty classes.

    Raises:
        DataError: in ``setup``, if files are missing or masks hold other values.
    """

    def __init__(
        self,
        root: str,
        train: str = "train",
        val: str = "val",
        test: str | None = None,
        classes: list[str] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}
        self.class_names = VOC_CLASSES if classes is None else tuple(classes)
        check_names(self.class_names, "classes")

    def read(self, split: str) -> SegmentationSplit:
        name = resolve_split_name(self.root, self.names, split)
        listing = self.root / "ImageSets" / "Segmentation" / f"{name}.txt"
        stems = read_image_set(listing)
        images, masks = self.root / "JPEGImages", self.root / "SegmentationClass"
        by_name = index_by_name(images, (file.name for file in images.glob("*") if is_image_file(file.name)))
        names = np.array([by_name.get(stem, f"{stem}.jpg") for stem in stems], dtype=np.str_)
        mask_names = np.array([f"{stem}.png" for stem in stems], dtype=np.str_)
        problems = [
            f"{len(missing)} of {len(stems)} files are not in {folder}: {format_list(missing)}"
            for folder, files in ((images, names), (masks, mask_names))
            if self.on_invalid == "raise" and (missing := find_missing_files(files, folder))
        ]
        if problems:
            raise DataError(f"{listing}: {'; and '.join(problems)}.")
        reader = ValueMaskReader(range(len(self.class_names)), hint="name all classes with --data.classes")
        return Pairs(images, names, masks, mask_names).split(listing, self.class_names, reader)
