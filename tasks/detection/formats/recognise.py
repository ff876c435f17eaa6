"""Recognises the format of a data set's folder."""

from __future__ import annotations

from ....errors import DataError, suggest
from ...data.files import format_list
from ...data.split import OnInvalid
from .base import Format
from .coco_folder import CocoFormat
from .cvat import CvatFormat
from .labelme import LabelMeFormat
from .listing import Listing
from .open_images import OpenImagesFormat
from .voc import VocFormat
from .yolo import YoloFormat

FORMATS: tuple[type[Format], ...] = (
    CocoFormat,
    VocFormat,
    YoloFormat,
    CvatFormat,
    LabelMeFormat,
    OpenImagesFormat,
)
AUTO = "auto"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar")


def recognise_format(listing: Listing, name: str = AUTO, on_invalid: OnInvalid = "raise") -> Format:
    """Returns the format that a folder is in.

    Args:
        listing: the files of the folder.
        name: name of the format; "auto" tries all.
        on_invalid: what the format does with records that cannot be used.

    Raises:
        DataError: the folder is in no format, or in several.
    """
    names = [kind.name for kind in FORMATS]
    if name != AUTO and name not in names:
        raise DataError(f"--data.format={name} is not auto or one of {', '.join(names)}{suggest(name, names)}")
    kinds = [kind for kind in FORMATS if name in (AUTO, kind.name)]
    found = [found for kind in kinds if (found := kind.recognise(listing, on_invalid))]
    if not found:
        raise DataError(explain_unknown(listing, kinds))
    if len(found) > 1:
        both = " and ".join(f"{each.title} ({next(iter(each.splits.values()))})" for each in found)
        raise DataError(
            f"{listing.root} has annotations in the formats of {both}; choose with --data.format={found[0].name}."
        )
    return found[0]


def explain_unknown(listing: Listing, kinds: list[type[Format]]) -> str:
    """Returns why a folder is in none of the formats ``kinds``: what it contains instead."""
    root = listing.root
    archives = [name for name in listing.files if name.lower().endswith(ARCHIVES)]
    if not listing.files:
        return f"{root} is empty; pass the folder of your data set with --data.root=FOLDER."
    wanted = " or ".join(kind.title for kind in kinds)
    if archives:
        return f"{root} has no annotations of {wanted}, but {format_list(archives)}; unpack it first."
    if len(listing.images) == len(listing.files):
        return f"{root} contains {len(listing.images)} images and no annotations; add these as {wanted}."
    return f"{root} has no annotations of {wanted}; it contains {listing.describe()}."
