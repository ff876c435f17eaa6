"""Cityscapes (arXiv 1604.01685) in its published layout: leftImg8bit and gtFine, with a folder per city."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...data.files import resolve_split_name
from ...drawing import Colour
from ..data import SegmentationDataModule
from ..masks import ValueMaskReader
from ..split import SegmentationSplit
from .pairs import find_pairs

#: label id and colour of each evaluated class, in the order of train ids (cityscapesScripts)
CLASSES: dict[str, tuple[int, Colour]] = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
LABEL_IDS = {name: label_id for name, (label_id, _) in CLASSES.items()}
CITYSCAPES_COLOURS = {name: colour for name, (_, colour) in CLASSES.items()}
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
