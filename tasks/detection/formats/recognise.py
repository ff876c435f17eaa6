"""Recognises the format of a data set's folder."""

from __future__ import annotations

from ....errors import DataError, suggest
from .base import Format
from .coco_folder import CocoFormat
from .listing import Listing
from .voc import VocFormat

FORMATS: tuple[type[Format], ...] = (CocoFormat, VocFormat)
AUTO = "auto"


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
        wanted = " or ".join(kind.title for kind in kinds) if len(kinds) == 1 else "any format that is known"
        raise DataError(f"{listing.root} has no annotations in {wanted}; it contains {listing.describe()}.")
    if len(found) > 1:
        both = " and ".join(f"{each.title} ({next(iter(each.splits.values()))})" for each in found)
        raise DataError(f"{listing.root} has annotations in {both}; choose with --data.format={found[0].name}.")
    return found[0]
