"""Pairs images and masks by their file names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import DataError, format_count, format_name
from ...data.files import format_list, is_image_file, iterate_files, normalise_path, note_unreadable_images
from ...data.split import OnInvalid
from ..masks import MaskReader
from ..split import SegmentationSplit


class Pairs(NamedTuple):
    """Images and their masks.

    Attributes:
        folder: folder of the images.
        names: file names of the images relative to ``folder``, ``[I]``.
        mask_folder: folder of the masks.
        mask_names: file names of the masks relative to ``mask_folder``, ``[I]``.
        notes: files without a partner that were left out, one sentence per folder.
    """

    folder: Path
    names: NDArray[np.str_]
    mask_folder: Path
    mask_names: NDArray[np.str_]
    notes: tuple[str, ...] = ()

    def split(self, source: Path, classes: tuple[str, ...], read_mask: MaskReader) -> SegmentationSplit:
        """Returns the split of these images; messages name ``source``."""
        return SegmentationSplit(source=source, classes=classes, read_mask=read_mask, **self._asdict())

    def mask_files(self) -> list[Path]:
        """Returns the mask files."""
        return [self.mask_folder / name for name in self.mask_names.tolist()]


def find_pairs(
    images: Path,
    masks: Path,
    image_suffix: str = "",
    mask_suffix: str = "",
    on_invalid: OnInvalid = "raise",
    excluded: Collection[str] = (),
) -> Pairs:
    """Pairs the images in ``images`` and its sub-folders with the masks of the same names in ``masks``.

    Args:
        images: folder of the images.
        masks: folder of the masks.
        image_suffix: suffix of image names before the dot, e.g. "_leftImg8bit".
        mask_suffix: suffix of mask names before the dot, e.g. "_gtFine_labelIds"; other files are ignored.
        on_invalid: "raise" refuses files without a partner; "skip" leaves them out.
        excluded: sub-folders of ``images`` and ``masks`` to leave out.

    Raises:
        DataError: a folder is missing or has no images, two files have the same name, or one has no partner.
    """
    in_one_folder = images == masks
    if in_one_folder and image_suffix == mask_suffix:
        raise DataError(f"{images} contains images and masks: set the masks' suffix, such as --data.mask_suffix=_mask.")
    images_by_name = list_images(images, image_suffix, excluded, mask_suffix if in_one_folder else "")
    masks_by_name = list_images(masks, mask_suffix, excluded, image_suffix if in_one_folder else "")
    unreadable = note_unreadable_images(images, excluded)
    if not images_by_name:
        if unreadable:
            raise DataError(unreadable[0])
        remedy = f" outside {format_list(sorted(excluded))}: name the folder to train on with --data.train=NAME"
        raise DataError(f"{images} contains no images{format_suffix(image_suffix)}{remedy if excluded else ''}.")
    image, mask = f"an image{format_suffix(image_suffix)} in {images}", f"a mask{format_suffix(mask_suffix)} in {masks}"
    unpaired = [
        *describe_unpaired("image", images, images_by_name, mask, masks_by_name),
        *describe_unpaired("mask", masks, masks_by_name, image, images_by_name),
    ]
    names = sorted(images_by_name.keys() & masks_by_name.keys())
    if unpaired and (on_invalid == "raise" or not names):
        reasons = [*unpaired, *(note.removesuffix(".") for note in unreadable)]
        hint = "" if names else suggest_suffix(images_by_name, masks_by_name)
        raise DataError(f"Images and masks must come in pairs: {'; '.join(reasons)}{hint}.")
    image_names = np.array([images_by_name[name] for name in names], dtype=np.str_)
    mask_names = np.array([masks_by_name[name] for name in names], dtype=np.str_)
    notes = tuple(f"Left out: {sentence}." for sentence in unpaired)
    return Pairs(images, image_names, masks, mask_names, (*notes, *unreadable))


def list_images(folder: Path, suffix: str, excluded: Collection[str], partner_suffix: str) -> dict[str, str]:
    """Returns the image files in ``folder`` and its sub-folders, by name without suffix and file extension.

    Args:
        folder: where to look.
        suffix: suffix of the names before the dot.
        excluded: sub-folders to leave out.
        partner_suffix: suffix of the partners if they are in the same folder; it separates the two if it is longer.

    Raises:
        DataError: the folder does not exist, or two images have the same name.
    """
    if not folder.is_dir():
        above = next(parent for parent in folder.parents if parent.is_dir())
        content = format_list(sorted(entry.name for entry in above.iterdir())) or "nothing"
        raise DataError(f"The folder {folder} does not exist: {above} contains {content}.")
    files = (
        file
        for file in iterate_files(folder)
        if is_image_file(file.rpartition("/")[2])
        and file.partition("/")[0] not in excluded
        and (len(partner_suffix) <= len(suffix) or not file.rpartition(".")[0].endswith(partner_suffix))
    )
    return index_by_name(folder, files, suffix)


def index_by_name(folder: Path, files: Iterable[str], suffix: str = "") -> dict[str, str]:
    """Returns the ``files`` of ``folder`` that end with ``suffix``, by name without suffix and file extension.

    Raises:
        DataError: two files have the same name.
    """
    by_name: dict[str, str] = {}
    for file in files:
        stem = file.rpartition(".")[0]
        if not stem.endswith(suffix):
            continue
        name = normalise_path(stem.removesuffix(suffix))
        if name in by_name:
            raise DataError(f"{folder} contains {format_name(by_name[name])} and {format_name(file)}: remove one.")
        by_name[name] = file
    return by_name


def describe_unpaired(
    kind: str, folder: Path, files: Mapping[str, str], partner: str, partners: Collection[str]
) -> list[str]:
    """Returns a phrase about the ``files`` of ``folder`` that are not among ``partners``; empty if all are."""
    unpaired = [file for name, file in sorted(files.items()) if name not in partners]
    phrase = f"{format_count(len(unpaired), f'{kind}s')} in {folder} without {partner}: {format_list(unpaired)}"
    return [phrase] if unpaired else []


def suggest_suffix(images: Collection[str], masks: Collection[str]) -> str:
    """Returns the end of a message that suggests the suffix which only the names of masks have, if there is one."""
    endings: set[str] = set()
    for mask in masks:
        endings.add(next((mask[end:] for end in range(len(mask) - 1, 0, -1) if mask[:end] in images), ""))
    ending = endings.pop() if len(endings) == 1 else ""
    return f"; set --data.mask_suffix={ending}" if ending else ""


def format_suffix(suffix: str) -> str:
    """Formats the suffix that file names must have, for messages."""
    return f" ending in {suffix!r}" if suffix else ""
