"""Images and masks that belong together by their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..files import format_list, is_image_file, iterate_files
from ..split import OnInvalid
from .masks import MaskReader
from .split import SegmentationSplit


class Pairs(NamedTuple):
    """File names of images and of their masks, ``[I]`` each, and a sentence for what has no partner."""

    images: NDArray[np.str_]
    masks: NDArray[np.str_]
    notes: tuple[str, ...]


def find_pairs(
    images: Path,
    masks: Path,
    image_suffix: str = "",
    mask_suffix: str = "",
    on_invalid: OnInvalid = "raise",
    apart: Collection[str] = (),
) -> Pairs:
    """Pairs the pictures in ``images``, and in folders within it, with those of the same names in ``masks``.

    Args:
        images: folder of images.
        masks: folder of masks.
        image_suffix: how an image's name ends beside what a pair shares, such as "_leftImg8bit".
        mask_suffix: the same of a mask's, such as "_gtFine_labelIds"; other files are passed over.
        on_invalid: "skip" leaves out what has no partner.
        apart: folders in ``images`` and ``masks`` that are not looked into.

    Raises:
        DataError: a folder is missing, there is no picture, two have one name, or one has no partner.
    """
    one_folder = images == masks
    if one_folder and image_suffix == mask_suffix:
        raise DataError(
            f"Images and masks are both in {images}: say how their names end with --data.mask_suffix, _mask say."
        )
    by_name = pictures(images, image_suffix, apart, mask_suffix if one_folder else "")
    masks_by_name = pictures(masks, mask_suffix, apart, image_suffix if one_folder else "")
    if not by_name:
        beside = (
            f" beside {format_list(sorted(apart))}: name the folder to train on with --data.train=NAME" if apart else ""
        )
        raise DataError(f"{images} holds no pictures{ending(image_suffix)}{beside}.")
    without_mask = sorted(by_name.keys() - masks_by_name.keys())
    without_image = sorted(masks_by_name.keys() - by_name.keys())
    lost = [
        f"{len(names)} {what}{'' if len(names) == 1 else 's'} in {here} without {partner}{ending(other)} in {there}: "
        f"{format_list([files[name] for name in names])}"
        for names, what, here, partner, other, there, files in (
            (without_mask, "image", images, "a mask", mask_suffix, masks, by_name),
            (without_image, "mask", masks, "an image", image_suffix, images, masks_by_name),
        )
        if names
    ]
    both = sorted(by_name.keys() & masks_by_name.keys())
    if lost and (on_invalid == "raise" or not both):
        raise DataError(f"There {'is' if lost[0].startswith('1 ') else 'are'} {'; and '.join(lost)}.")
    return Pairs(
        np.array([by_name[name] for name in both], dtype=np.str_),
        np.array([masks_by_name[name] for name in both], dtype=np.str_),
        tuple(f"Left out: {sentence}." for sentence in lost),
    )


def pictures(folder: Path, suffix: str, apart: Collection[str], partner: str) -> dict[str, str]:
    """Pictures in ``folder`` and in folders within it, by name without ``suffix`` and kind of file.

    Args:
        folder: where to look.
        suffix: how the names end, before the dot.
        apart: folders in it that are not looked into.
        partner: how the names of partners end that lie in the same folder; none of theirs is given.

    Raises:
        DataError: there is no such folder, or two pictures have one name.
    """
    if not folder.is_dir():
        above = next(parent for parent in folder.parents if parent.is_dir())
        there = format_list(sorted(entry.name for entry in above.iterdir())) or "nothing"
        raise DataError(f"There is no folder {folder}: {above} holds {there}.")
    files = (
        file
        for file in iterate_files(folder)
        if is_image_file(file.rpartition("/")[2])
        and file.partition("/")[0] not in apart
        and (len(partner) <= len(suffix) or not file.rpartition(".")[0].endswith(partner))
    )
    return by_stem(folder, files, suffix)


def by_stem(folder: Path, files: Iterable[str], suffix: str) -> dict[str, str]:
    """``files`` of ``folder`` by their names without ``suffix`` and kind of file, those that end so alone.

    Raises:
        DataError: two of them have one name.
    """
    found: dict[str, str] = {}
    for file in files:
        stem = file.rpartition(".")[0]
        if not stem.endswith(suffix):
            continue
        name = stem.removesuffix(suffix)
        if name in found:
            raise DataError(f"{folder} holds both {format_name(found[name])} and {format_name(file)}: remove one.")
        found[name] = file
    return found


def ending(suffix: str) -> str:
    """How files have to end, for messages."""
    return f" ending in {suffix!r}" if suffix else ""


def segmentation_split(
    images: Path, masks: Path, pairs: Pairs, classes: tuple[str, ...], reader: MaskReader
) -> SegmentationSplit:
    """The split of ``pairs`` of files in the folders ``images`` and ``masks``."""
    return SegmentationSplit(
        source=images,
        folder=images,
        names=pairs.images,
        classes=classes,
        notes=pairs.notes,
        mask_folder=masks,
        mask_names=pairs.masks,
        read_mask=reader,
    )
