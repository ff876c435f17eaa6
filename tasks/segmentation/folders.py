"""A folder of images beside a folder of masks, as users have them, and CamVid, which is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from ...errors import DataError, UserError
from ...heads.contract import default_class_names
from ...heads.predictions import IGNORED
from ..files import SPLIT_FOLDERS, check_root
from ..split import TrainValSplit
from .classes import check_counted, check_names, check_not_binary, count_classes, numbers, read_names, values_in
from .data import SegmentationDataModule
from .masks import ByColour, ByValue, MaskReader
from .pairs import Pairs, find_pairs, segmentation_split
from .split import SegmentationSplit, divide

CLASSES_FILE = "classes.txt"
SPLIT = "{split}"
CAMVID = (
    *("Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
)


class FolderSegmentation(SegmentationDataModule):
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
            folder itself, and in folders within it that are not called as splits are.
        val: name of the split to validate on; None takes "val", "valid" or "validation" if there is one, and else
            splits a share off training's.
        test: name of the split that ``litmobile test`` reads; None takes "test" or "testing".
        val_fraction: share of the images that is split off where there is nothing to validate on.
        split_seed: what decides which images these are; the same for every run unless it is given.
        classes: names of the classes; None takes the lines of ``root/classes.txt``, and without that file looks through
            all masks of training for their number.
        values: what masks hold for the classes, in their order; None takes 0, 1, …, and without names but for what is
            ignored.
        ignored: values of pixels that count as no class; None takes 255 unless it is one of ``values``.
        colours: colours for the classes, in their order, where masks are coloured; instead of ``values``.
        ignored_colours: colours of pixels that count as no class.

    Raises:
        ValueError: values or colours contradict themselves or the classes.
        DataError: in ``setup``, if the data is not there or contradicts itself.
    """

    remedy: ClassVar[str] = "add it to the classes, or to --data.ignored"

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
        val_fraction: float = 0.1,
        split_seed: int = 0,
        classes: list[str] | None = None,
        values: list[int] | None = None,
        ignored: list[int] | None = None,
        colours: list[list[int]] | None = None,
        ignored_colours: list[list[int]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.holdout = TrainValSplit(val_fraction, split_seed, divide)
        self.root = Path(root).expanduser()
        self.folders = {"images": images, "masks": masks}
        self.suffixes = (image_suffix, mask_suffix)
        self.names = {"train": train, "val": val, "test": test}
        if SPLIT not in images and any(name is not None for name in self.names.values()):
            raise UserError(f"train, val and test name folders: images needs {SPLIT!r} in it, not {images!r}.")
        if colours is not None and (values is not None or ignored is not None):
            raise UserError("classes have values or colours: give values and ignored, or colours and ignored_colours.")
        if colours is None and ignored_colours is not None:
            raise UserError("ignored_colours needs colours.")
        self.class_names = None if classes is None else tuple(classes)
        self.ignored = [value for value in (IGNORED,) if value not in (values or ())] if ignored is None else ignored
        self.reader: MaskReader | None = None
        if colours is not None:
            self.reader = ByColour(colours, ignored_colours or [])
        elif values is not None:
            self.reader = ByValue(values, self.ignored, self.remedy)
        self.count = len(colours or values or [])
        if classes is not None:
            check_names(classes, "classes")
            if self.reader is not None and len(classes) != self.count:
                what = "colours" if colours else "values"
                raise UserError(f"there are {len(classes)} classes, but {what} of {self.count}.")
        self.counted: int | None = None  # how many classes training's masks have, once they have been looked through

    def read(self, split: str) -> SegmentationSplit:
        check_root(self.root)
        if split == "test" or self.named("val") is not None:
            return self.read_stored(split)
        return self.holdout.part(split, lambda: self.read_stored("train"))

    def named(self, split: str) -> str | None:
        """What ``split`` is called in the data's folders; None where none is called so."""
        if self.names[split] is not None:
            return self.names[split]
        there = (name for name in SPLIT_FOLDERS[split] if self.folder("images", name).is_dir())
        return next(there, None) if SPLIT in self.folders["images"] else None

    def folder(self, kind: str, name: str | None) -> Path:
        """Where the "images" or "masks" of a split are; with no name, those of no split."""
        parts = self.folders[kind].split("/")
        if name is None:
            return self.root / "/".join(part for part in parts if part != SPLIT)
        return self.root / "/".join(part.replace(SPLIT, name) for part in parts)

    def read_stored(self, split: str) -> SegmentationSplit:
        """All that is stored as "train", "val" or "test".

        Raises:
            DataError: it is not there, or not what it should be.
        """
        pairs = self.pairs(split)
        images, masks = (self.folder(kind, self.named(split)) for kind in ("images", "masks"))
        classes, reader = self.classes_and_reader(split, pairs)
        return segmentation_split(images, masks, pairs, classes, reader)

    def pairs(self, split: str) -> Pairs:
        """The files of "train", "val" or "test".

        Raises:
            DataError: they are not there, or have no partners.
        """
        name = self.named(split)
        folders = images, masks = self.folder("images", name), self.folder("masks", name)
        if name is None and (split != "train" or any(SPLIT in str(folder) for folder in folders)):
            if SPLIT not in self.folders["images"]:
                raise DataError(f"There is no {split} split, for which --data.images needs {SPLIT!r} in it.")
            usual = " or ".join(str(self.folder("images", usual)) for usual in SPLIT_FOLDERS[split])
            raise DataError(f"There is no folder {usual}: say what {split} is called with --data.{split}=NAME.")
        apart = set() if name is not None else self.folders_of_splits(folders)
        return find_pairs(images, masks, *self.suffixes, on_invalid=self.on_invalid, apart=apart)

    def folders_of_splits(self, folders: tuple[Path, Path]) -> set[str]:
        """Folders in ``folders`` that are called as splits are: their pictures are not everybody's to train on."""
        usual = {name for names in SPLIT_FOLDERS.values() for name in names} | {*filter(None, self.names.values())}
        inner = (path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir())
        return {path.name for path in inner if path.name in usual or path.name.lower() in usual}

    def classes_and_reader(self, split: str, pairs: Pairs) -> tuple[tuple[str, ...], MaskReader]:
        """Names of the classes, and what reads masks.

        Raises:
            DataError: masks hold other values, or there is another number of names.
        """
        names = self.class_names or read_names(self.root / CLASSES_FILE)
        masks = self.mask_files(split, pairs)
        if self.reader is not None:
            if names is not None and len(names) != self.count:
                raise DataError(f"{self.root / CLASSES_FILE} names {len(names)} classes, not {self.count}.")
            names, reader = names or default_class_names(self.count), self.reader
        else:
            if names is None:
                names = default_class_names(self.count_classes(masks if split == "train" else None))
            else:
                check_counted(names, self.ignored)
                if split == "train":
                    check_not_binary(masks, self.ignored, self.on_invalid == "skip")
            reader = ByValue(numbers(len(names), self.ignored), self.ignored, self.remedy)
        return names, reader

    def count_classes(self, masks: list[Path] | None) -> int:
        """How many classes training has, from all of its ``masks``; None looks for them.

        Raises:
            DataError: they are not there, or hold values that are no numbers of classes.
        """
        if self.counted is None:
            skip = self.on_invalid == "skip"
            masks = self.mask_files("train", self.pairs("train")) if masks is None else masks
            check_not_binary(masks, self.ignored, skip)
            # where none of them can be read, it is said what is wrong with the first
            found = values_in(masks, skip) or values_in(masks[:1])
            self.counted = count_classes(found, self.ignored, self.folder("masks", self.named("train")))
        return self.counted

    def mask_files(self, split: str, pairs: Pairs) -> list[Path]:
        """The masks of ``pairs``, which are those of a split."""
        folder = self.folder("masks", self.named(split))
        return [folder / mask for mask in pairs.masks.tolist()]


class CamVid(FolderSegmentation):
    """CamVid's eleven classes as SegNet's authors published them: ``train``, ``trainannot``, ``val``, ``valannot``, ….

    367, 101 and 233 images of 480×360 pixels; the value 11 is no class.

    Args:
        root: the folder.
        train: name of the split to train on.
        val: name of the split to validate on.
        test: name of the split that ``litmobile test`` reads.

    Raises:
        DataError: in ``setup``, if the data is not there or not CamVid's.
    """

    remedy = "masks of the eleven classes are read, and those of others with FolderSegmentation"

    def __init__(
        self,
        root: str,
        train: str = "train",
        val: str = "val",
        test: str = "test",
        **options: Any,
    ) -> None:
        super().__init__(
            root,
            images=SPLIT,
            masks=f"{SPLIT}annot",
            image_suffix="",
            mask_suffix="",
            train=train,
            val=val,
            test=test,
            classes=list(CAMVID),
            values=list(range(len(CAMVID))),
            ignored=[len(CAMVID)],
            colours=None,
            ignored_colours=None,
            **options,
        )
