"""A folder of images beside a folder of masks, as users have them, and CamVid, which is one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ...heads.contract import nameless_classes
from ...heads.predictions import IGNORED
from ..errors import DataError
from ..files import SPLIT_FOLDERS, check_root
from ..holdout import Holdout
from ..split import Broken
from .data import SegmentationData
from .masked import MaskedImages, split_off
from .masks import ByColour, ByValue, MaskReader, read_values, spelled
from .pairs import find_pairs
from .transforms import Augmentation

CLASSES_FILE = "classes.txt"
PLACE = "{split}"
LOOKED_AT = 16  # masks that tell whether classes fit the data
CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)


class FolderSegmentation(SegmentationData):
    """``root/images`` beside ``root/masks``, with folders ``train``, ``val`` and ``test`` in each, or pictures alone.

    An image and its mask share their name but for the kind of file. Masks hold the number of a class in every pixel,
    from 0; 255 is no class.

    Args:
        root: the folder.
        images: where in ``root`` the images of a split are; "{split}" stands for its name.
        masks: the same of the masks.
        image_suffix: how an image's name ends beside what it shares with its mask's, before the dot.
        mask_suffix: the same of a mask's.
        train: name of the split to train on; None takes "train" or "training", and else the pictures that are in the
            folder itself.
        val: name of the split to validate on; None takes "val", "valid" or "validation" if there is one, and else
            splits a share off training's.
        test: name of the split that ``litmobile test`` reads; None takes "test" or "testing".
        val_share: share of the images that is split off where there is nothing to validate on.
        split_seed: what decides which images these are; the same for every run unless it is given.
        classes: names of the classes; None takes the lines of ``root/classes.txt``, and without that file looks through
            all masks of training for their number.
        values: what masks hold for the classes, in their order; None takes 0, 1, …
        ignored: values of pixels that count as no class.
        colours: colours for the classes, in their order, where masks are coloured; instead of ``values``.
        ignored_colours: colours of pixels that count as no class.
        batch_size: see :class:`SegmentationData`, as for the rest.
        workers: processes that read and augment.
        augmentation: while training.
        broken: "raise" or "skip" pictures and masks that cannot be used.
        seed: of the order and the augmentation.

    Raises:
        ValueError: values or colours contradict themselves or the classes.
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    def __init__(
        self,
        root: str,
        images: str = "images/{split}",
        masks: str = "masks/{split}",
        image_suffix: str = "",
        mask_suffix: str = "",
        train: str | None = None,
        val: str | None = None,
        test: str | None = None,
        val_share: float = 0.1,
        split_seed: int = 0,
        classes: list[str] | None = None,
        values: list[int] | None = None,
        ignored: list[int] | None = None,
        colours: list[list[int]] | None = None,
        ignored_colours: list[list[int]] | None = None,
        batch_size: int = 16,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, workers, augmentation, broken, seed)
        self.holdout = Holdout(val_share, split_seed, split_off)
        self.root = Path(root).expanduser()
        self.folders = {"images": images, "masks": masks}
        self.suffixes = (image_suffix, mask_suffix)
        self.names = {"train": train, "val": val, "test": test}
        self.class_names = None if classes is None else tuple(classes)
        self.ignored = [IGNORED] if ignored is None else ignored
        if colours is not None and values is not None:
            raise ValueError("classes have values or colours: give one of them.")
        self.reader: MaskReader | None = None
        if colours is not None:
            self.reader = ByColour(colours, ignored_colours or [])
        elif values is not None:
            self.reader = ByValue(values, set(self.ignored) - set(values))
        count = len(colours or values or [])
        if classes is not None and count not in (0, len(classes)):
            raise ValueError(f"there are {len(classes)} classes, but {'colours' if colours else 'values'} of {count}.")
        self.count = count

    def read(self, split: str) -> MaskedImages:
        check_root(self.root)
        if split == "test" or self.named("val") is not None:
            return self.stored(split)
        return self.holdout.part(split, lambda: self.stored("train"))

    def named(self, split: str) -> str | None:
        """What ``split`` is called in the data's folders; None where none is called so."""
        if self.names[split] is not None:
            return self.names[split]
        there = (name for name in SPLIT_FOLDERS[split] if self.folder("images", name).is_dir())
        return next(there, None) if PLACE in self.folders["images"] else None

    def folder(self, kind: str, name: str | None) -> Path:
        """Where the "images" or "masks" of a split are; with no name, those of no split."""
        where = self.folders[kind]
        return self.root / (where.replace(f"/{PLACE}", "") if name is None else where.replace(PLACE, name))

    def stored(self, split: str) -> MaskedImages:
        """All that is stored as "train", "val" or "test".

        Raises:
            DataError: it is not there, or not what it should be.
        """
        name = self.named(split)
        if name is None and split != "train":
            raise DataError(f"{self.folder('images', None)} has no folder {split}: name one with --data.{split}=NAME.")
        images, masks = self.folder("images", name), self.folder("masks", name)
        pairs = find_pairs(images, masks, *self.suffixes, broken=self.broken)
        paths = [masks / mask for mask in pairs.masks.tolist()]
        classes, reader = self.classes_and_reader(paths if split == "train" else None)
        return MaskedImages(images, images, pairs.images, masks, pairs.masks, classes, reader, pairs.notes)

    def classes_and_reader(self, masks: list[Path] | None) -> tuple[tuple[str, ...], MaskReader]:
        """Names of the classes and what reads masks; ``masks`` are training's, None looks for them.

        Raises:
            DataError: masks hold other values.
        """
        names = self.class_names or read_names(self.root / CLASSES_FILE)
        if self.reader is not None:
            if names is not None and len(names) != self.count:
                raise DataError(f"{self.root / CLASSES_FILE} names {len(names)} classes, not {self.count}.")
            return names or nameless_classes(self.count), self.reader
        if masks is None:
            name = self.named("train")
            folder = self.folder("masks", name)
            pairs = find_pairs(self.folder("images", name), folder, *self.suffixes, broken=self.broken)
            masks = [folder / mask for mask in pairs.masks.tolist()]
        some = masks if names is None else masks[:: -(-len(masks) // LOOKED_AT)]
        found = values_in(some)
        if found <= {0, IGNORED} and IGNORED in found and IGNORED in self.ignored:
            raise DataError(
                f"{masks[0].parent} has masks of the values {spelled(sorted(found))} alone, and {IGNORED} counts as no "
                "class: name the values of the classes, such as --data.values=[0,255]."
            )
        if names is None:
            names = nameless_classes(max(found - set(self.ignored), default=0) + 1)
        return names, ByValue(range(len(names)), [value for value in self.ignored if value >= len(names)])


def values_in(masks: list[Path]) -> set[int]:
    """All values that occur in ``masks``.

    Raises:
        DataError: a mask cannot be read.
    """
    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        return {
            value
            for values in threads.map(lambda mask: np.unique(read_values(mask)), masks)
            for value in values.tolist()
        }


def read_names(file: Path) -> tuple[str, ...] | None:
    """Names of classes, a line each; None where there is no such file."""
    if not file.is_file():
        return None
    return tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip())


class CamVid(FolderSegmentation):
    """CamVid's eleven classes as SegNet's authors published them: ``train``, ``trainannot``, ``val``, ``valannot``, ….

    367, 101 and 233 images of 480×360 pixels; the value 11 is no class.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads.
        batch_size: see :class:`SegmentationData`, as for the rest.
        workers: processes that read and augment.
        augmentation: while training.
        broken: "raise" or "skip" pictures and masks that cannot be used.
        seed: of the order and the augmentation.

    Raises:
        DataError: in ``setup``, if the data is not there or not CamVid's.
    """

    def __init__(
        self,
        root: str,
        train: str = "train",
        val: str = "val",
        test: str = "test",
        batch_size: int = 8,
        workers: int = 4,
        augmentation: Augmentation | None = None,
        broken: Broken = "raise",
        seed: int | None = None,
    ) -> None:
        super().__init__(
            root,
            images=PLACE,
            masks=f"{PLACE}annot",
            train=train,
            val=val,
            test=test,
            classes=list(CAMVID),
            values=list(range(len(CAMVID))),
            ignored=[len(CAMVID)],
            batch_size=batch_size,
            workers=workers,
            augmentation=augmentation,
            broken=broken,
            seed=seed,
        )
