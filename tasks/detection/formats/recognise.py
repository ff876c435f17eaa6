"""Recognises the format of a data set's folder."""

from __future__ import annotations

from collections import Counter

from ....errors import DataError, format_count, suggest
from ...data.files import find_split_word, format_list
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


def recognise_format(listing: Listing, name: str = AUTO) -> Format:
    """Returns the format that a folder is in.

    Args:
        listing: the files of the folder.
        name: name of the format; "auto" tries all.

    Raises:
        DataError: the folder is in no format, or in several.
    """
    names = [kind.name for kind in FORMATS]
    if name != AUTO and name not in names:
        raise DataError(f"--data.format={name} is not auto or one of {', '.join(names)}{suggest(name, names)}")
    kinds = [kind for kind in FORMATS if name in (AUTO, kind.name)]
    found = [found for kind in kinds if (found := kind.recognise(listing))]
    if not found:
        raise DataError(explain_unknown(listing, kinds))
    if len(found) > 1:
        both = " and ".join(f"{each.title} ({next(iter(each.splits.values()))})" for each in found)
        raise DataError(
            f"{listing.root} has annotations in the formats of {both}; choose with --data.format={found[0].name}."
        )
    found[0].notes += describe_unannotated(found[0])
    return found[0]


def describe_unannotated(found: Format) -> tuple[str, ...]:
    """Returns a sentence for each split that folders of images name, but annotations or a list of splits do not."""
    annotated = {find_split_word(split) for split in found.splits}
    if "" in found.splits:
        return ()
    listing = found.listing
    known = found.list_images()
    reason = "outside of all splits, not used" if known else "without annotations"
    names = Counter(listing.split_of(image) for image in listing.images if image not in known)
    return tuple(
        f"{listing.root}: {format_count(count, 'images')} in {name} {reason}."
        for name, count in names.items()
        if name and find_split_word(name) not in annotated
    )


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
        return (
            f"{root} contains {format_count(len(listing.images), 'images')} and no annotations; add these as {wanted}."
        )
    return f"{root} has no annotations of {wanted}; it contains {listing.describe()}."
