"""Pascal VOC's segmentation: lists in ImageSets/Segmentation, masks with a palette in SegmentationClass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...heads.predictions import IGNORED
from ..files import find_missing_files, format_list, is_image_file, read_image_set, resolve_split_name
from .classes import check_names
from .data import SegmentationDataModule
from .masks import ByValue
from .pairs import by_stem
from .split import SegmentationSplit

VOC = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


class VocSegmentation(SegmentationDataModule):
    """Pascal VOC: ``JPEGImages``, ``SegmentationClass/*.png`` and ``ImageSets/Segmentation/SPLIT.txt``.

    The value 255, borders of objects and what is hard to tell, is no class.

    Args:
        root: the folder, such as VOCdevkit/VOC2012.
        train: name of the list to train on ("trainaug" with SBD's masks unpacked into SegmentationClass, say).
        val: name of the list to validate on.
        test: name of the list that ``litmobile test`` reads, if there is one.
        classes: names of the classes in the order of their values; None takes VOC's twenty and the background.

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
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}
        self.class_names = VOC if classes is None else tuple(classes)
        check_names(self.class_names, "classes")

    def read(self, split: str) -> SegmentationSplit:
        name = resolve_split_name(self.root, self.names, split)
        listing = self.root / "ImageSets" / "Segmentation" / f"{name}.txt"
        stems = read_image_set(listing)
        images, masks = self.root / "JPEGImages", self.root / "SegmentationClass"
        pictures = by_stem(images, (file.name for file in images.glob("*") if is_image_file(file.name)), "")
        names = np.array([pictures.get(stem, f"{stem}.jpg") for stem in stems], dtype=np.str_)
        mask_names = np.array([f"{stem}.png" for stem in stems], dtype=np.str_)
        lost = [
            f"{len(missing)} of {len(stems)} files are not in {folder}: {format_list(missing)}"
            for folder, wanted in ((images, names), (masks, mask_names))
            if self.on_invalid == "raise" and (missing := find_missing_files(wanted, folder))
        ]
        if lost:
            raise DataError(f"{listing}: {'; and '.join(lost)}.")
        reader = ByValue(range(len(self.class_names)), [IGNORED], "name all classes with --data.classes")
        return SegmentationSplit(
            source=listing,
            folder=images,
            names=names,
            classes=self.class_names,
            mask_folder=masks,
            mask_names=mask_names,
            read_mask=reader,
        )
