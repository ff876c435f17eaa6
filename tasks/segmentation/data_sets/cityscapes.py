"""Cityscapes (arXiv 1604.01685) in its published layout: leftImg8bit and gtFine, with a folder per city."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...data.files import resolve_split_name
from ..data import SegmentationDataModule
from ..masks import ValueMaskReader
from ..split import SegmentationSplit
from .known_classes import LABEL_IDS
from .pairs import find_pairs

ALL_IDS = range(34)


class Cityscapes(SegmentationDataModule):
    """Cityscapes with fine annotations: ``root/leftImg8bit/SPLIT/CITY/*.png`` and ``root/gtFine/SPLIT/CITY/*.png``.

    Masks are the files ``*_gtFine_labelIds.png``. The published test masks are empty: the benchmark server evaluates
    what ``litmobile predict --label_ids cityscapes`` writes.

    Args:
        root: folder that contains leftImg8bit and gtFine, e.g. /data/cityscapes.
        train: split to train on.
        val: split to validate on.
        test: split that ``litmobile test`` evaluates, e.g. "val".

    Raises:
        DataError: in ``setup``, if files are missing or masks hold other values.
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
        ids = list(LABEL_IDS.values())
        reader = ValueMaskReader(ids, set(ALL_IDS) - set(ids), "the label ids of Cityscapes are 0 … 33")
        return pairs.split(images, tuple(LABEL_IDS), reader)
