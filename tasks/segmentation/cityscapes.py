"""Cityscapes (arXiv 1604.01685) as it unpacks: leftImg8bit and gtFine, by cities, 34 label ids of which 19 count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files import resolve_split_name
from .data import SegmentationDataModule
from .masks import ByValue
from .pairs import find_pairs, segmentation_split
from .split import SegmentationSplit

#: label ids of the classes that are evaluated, in the order of their train ids, as the data's own scripts number them
LABEL_IDS = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
ALL_IDS = range(34)


class Cityscapes(SegmentationDataModule):
    """Cityscapes with fine annotations: ``root/leftImg8bit/SPLIT/CITY/*.png`` and ``root/gtFine/SPLIT/CITY/*.png``.

    Masks are the files *_gtFine_labelIds.png. Those of the published test set hold nothing to evaluate on: its figures
    come from the benchmark server, to which ``litmobile predict --label-ids cityscapes`` writes.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads, if there is one.

    Raises:
        DataError: in ``setup``, if the data is not there or not Cityscapes.
    """

    def __init__(
        self,
        root: str,
        train: str = "train",
        val: str = "val",
        test: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.names = {"train": train, "val": val, "test": test}

    def read(self, split: str) -> SegmentationSplit:
        name = resolve_split_name(self.root, self.names, split)
        images, masks = self.root / "leftImg8bit" / name, self.root / "gtFine" / name
        pairs = find_pairs(images, masks, "_leftImg8bit", "_gtFine_labelIds", self.on_invalid)
        values = list(LABEL_IDS.values())
        reader = ByValue(values, set(ALL_IDS) - set(values), "Cityscapes' label ids are 0 … 33")
        return segmentation_split(images, masks, pairs, tuple(LABEL_IDS), reader)
