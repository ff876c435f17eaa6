"""Reads a folder of images beside a folder of masks, and CamVid, which has this layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from ....errors import DataError, UserError, format_count
from ....heads.contract import default_class_names
from ....heads.predictions import IGNORED
from ...data.files import SPLIT_FOLDERS, check_root
from ...data.split import TrainValSplit
from ..classes import (
    check_ignored,
    check_names,
    check_not_binary,
    count_classes,
    default_values,
    find_values,
    read_names,
)
from ..data import SegmentationDataModule
from ..masks import ColourMaskReader, ValueMaskReader
from ..split import SegmentationSplit
from .known_classes import CAMVID_COLOURS
from .pairs import Pairs, find_pairs

CLASSES_FILE = "classes.txt"
SPLIT = "{split}"


class FolderSegmentation(SegmentationDataModule):
    """Images in ``root/images`` and masks in ``root/masks``, with or without sub-folders ``train``, ``val``, ``test``.

    Folders in the other order, such as ``root/train/images``, are found as well.

    An image and its mask have the same name; their file extensions may differ. A mask holds the class index of every
    pixel; pixels with the value 255 are ignored.

    Args:
        root: folder that contains the images and masks, e.g. /data/crops.
        images: folder of a split's images in ``root``; "{split}" is the split's name, e.g. "{split}/images".
        masks: folder of a split's masks in ``root``, e.g. "{split}/masks".
        image_suffix: suffix of image names, e.g. "_leftImg8bit" for aachen_000_leftImg8bit.png.
        mask_suffix: suffix of mask names, e.g. "_mask" for a_mask.png.
        train: split to train on. Default: "train" or "training" if one exists, and otherwise the images in the folder
            itself and in sub-folders without a split's name.
        val: split to validate on. Default: "val", "valid" or "validation" if one exists, and otherwise
            ``val_fraction`` of the training images.
        test: split that ``litmobile test`` evaluates. Default: "test" or "testing".
        val_fraction: fraction of the training images to set aside without a validation split, e.g. 0.1.
        split_seed: seed that decides which images are set aside; change it for another choice.
        classes: class names, e.g. [road, sky]. None reads ``root/classes.txt``, one name per line. Without that file,
            the classes are counted in all training masks.
        values: mask value of each class, in the order of the classes, e.g. [0, 255]. Default: 0, 1, … without the
            ignored values.
        ignored: mask values of ignored pixels, e.g. [0, 255]. Default: 255 unless it is one of ``values``.
        colours: colour of each class if masks are coloured, e.g. [[128, 64, 128], [70, 130, 180]]; replaces
            ``values``.
        ignored_colours: colours of ignored pixels, e.g. [[0, 0, 0]].

    Raises:
        UserError: an option is out of range, or options contradict each other.
        DataError: the classes do not match the values or colours; in ``setup``, also if files are missing or invalid.
    """

    #: what to do about a mask value that is neither a class nor ignored, for messages
    hint: ClassVar[str] = "name one more class, or add the value to --data.ignored"

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
        self.train_val_split = TrainValSplit[SegmentationSplit](val_fraction, split_seed, self.verify_images)
        self.root = Path(root).expanduser()
        self.templates = {"images": images, "masks": masks}
        self.suffixes = (image_suffix, mask_suffix)
        self.names = {"train": train, "val": val, "test": test}
        if SPLIT not in images and any(name is not None for name in self.names.values()):
            raise UserError(f"train, val and test name folders: images must contain {SPLIT!r}, not be {images!r}.")
        if colours is not None and (values is not None or ignored is not None):
            raise UserError("Pass either values and ignored, or colours and ignored_colours.")
        if colours is None and ignored_colours is not None:
            raise UserError("ignored_colours needs colours: pass the colours of the classes, too.")
        if ignored is None:
            ignored = [] if IGNORED in (values or ()) else [IGNORED]
        self.ignored = ignored
        self.reader: ValueMaskReader | ColourMaskReader | None = None
        if colours is not None:
            self.reader = ColourMaskReader(colours, ignored_colours or [])
        elif values is not None:
            self.reader = ValueMaskReader(values, ignored, self.hint)
        self.class_names = None if classes is None else tuple(classes)
        if classes is not None:
            check_names(classes, "classes")
            self._check_number(classes, "classes")
        self.num_classes: int | None = None  # once the training masks have been read

    def read(self, split: str) -> SegmentationSplit:
        check_root(self.root)
        if split == "test" or self.split_name("val") is not None:
            return self.read_stored(split)
        return self.train_val_split.part(split, lambda: self.read_stored("train"))

    def read_stored(self, split: str) -> SegmentationSplit:
        """Returns all images that are stored as "train", "val" or "test".

        Raises:
            DataError: files are missing or invalid.
        """
        pairs = self.pair_files(split)
        names = self.class_names or read_names(self.root / CLASSES_FILE)
        if self.reader is not None:
            names = names or default_class_names(self.reader.num_classes)
            self._check_number(names, self.root / CLASSES_FILE)
            return pairs.split(pairs.folder, names, self.reader)
        if names is None:
            names = default_class_names(self.count_training_classes(pairs if split == "train" else None))
        else:
            check_ignored(names, self.ignored)
            if split == "train":
                check_not_binary(pairs.mask_files(), self.ignored, self.on_invalid == "skip")
        reader = ValueMaskReader(default_values(names, self.ignored), self.ignored, self.hint)
        return pairs.split(pairs.folder, names, reader)

    def split_name(self, split: str) -> str | None:
        """Returns the folder name of ``split``; None if no such folder exists."""
        if self.names[split] is not None:
            return self.names[split]
        names = (spelled for name in SPLIT_FOLDERS[split] for spelled in (name, name.capitalize(), name.upper()))
        existing = (name for name in names if self.split_folder("images", name).is_dir())
        return next(existing, None) if SPLIT in self.templates["images"] else None

    def split_folder(self, kind: str, name: str | None) -> Path:
        """Returns the folder of the "images" or "masks" of split ``name``, which is None for data without splits."""
        template = self.templates[kind]
        if name is not None:
            folder = self.root / template.replace(SPLIT, name)
            swapped = self.root / "/".join(reversed(template.split("/"))).replace(SPLIT, name)  # train/images
            return swapped if swapped.is_dir() and not folder.is_dir() else folder
        return self.root / "/".join(part for part in template.split("/") if part != SPLIT)

    def pair_files(self, split: str) -> Pairs:
        """Returns the files of "train", "val" or "test".

        Raises:
            DataError: a folder is missing, or a file has no partner.
        """
        name = self.split_name(split)
        images, masks = self.split_folder("images", name), self.split_folder("masks", name)
        if name is None and (split != "train" or SPLIT in f"{images} {masks}"):
            if SPLIT not in self.templates["images"]:
                raise DataError(f"There is no {split} split: put {SPLIT!r} into --data.images.")
            folders = " or ".join(str(self.split_folder("images", usual)) for usual in SPLIT_FOLDERS[split])
            raise DataError(f"There is no folder {folders}: name the {split} split with --data.{split}=NAME.")
        excluded = set() if name is not None else self.find_split_folders(images) | self.find_split_folders(masks)
        return find_pairs(images, masks, *self.suffixes, self.on_invalid, excluded)

    def find_split_folders(self, folder: Path) -> set[str]:
        """Returns the sub-folders of ``folder`` that have a split's name; not all of them are for training."""
        names = {*filter(None, self.names.values())}.union(*SPLIT_FOLDERS.values())
        inner = (path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else ()
        return {name for name in inner if name in names or name.lower() in names}

    def count_training_classes(self, pairs: Pairs | None) -> int:
        """Returns the number of classes in all training masks; ``pairs`` are the training files if they are known.

        Raises:
            DataError: no mask can be read, or their values are not class indices.
        """
        if self.num_classes is None:
            pairs = pairs or self.pair_files("train")
            masks, skip = pairs.mask_files(), self.on_invalid == "skip"
            check_not_binary(masks, self.ignored, skip)
            values = find_values(masks, skip) or find_values(masks[:1])  # raises the reason if no mask can be read
            self.num_classes = count_classes(values, self.ignored, pairs.mask_folder)
        return self.num_classes

    def _check_number(self, names: Sequence[str], source: Path | str) -> None:
        """Raises DataError unless each of ``names`` has a value or colour."""
        if self.reader is not None and len(names) != self.reader.num_classes:
            option, number = self.reader.option, self.reader.num_classes
            counted = format_count(len(names), "classes")
            raise DataError(f"{source} names {counted}, but --data.{option} has {number}.")


class CamVid(FolderSegmentation):
    """CamVid with eleven classes as SegNet's authors published it: ``train``, ``trainannot``, ``val``, ``valannot``, ….

    It has 367, 101 and 233 images of 480×360 pixels. Pixels with the value 11 are ignored.

    Args:
        root: folder that contains train and trainannot, e.g. /data/camvid.
        train: split to train on.
        val: split to validate on.
        test: split that ``litmobile test`` evaluates.

    Raises:
        DataError: in ``setup``, if files are missing or masks hold other values.
    """

    hint = "CamVid has eleven classes; read others with --data=FolderSegmentation"

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
            classes=list(CAMVID_COLOURS),
            values=list(range(len(CAMVID_COLOURS))),
            ignored=[len(CAMVID_COLOURS)],
            colours=None,
            ignored_colours=None,
            **options,
        )
