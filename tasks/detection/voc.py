"""Reading Pascal VOC's layout: an XML file an image, lists of image names a split."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..files import read_image_set
from ..split import OnInvalid
from .split import DetectionSplit, ImageRecord

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class VocObject(NamedTuple):
    """An object as its XML describes it, box as x1, y1, x2, y2 in pixels from 0."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool


class VocImage(NamedTuple):
    """(height, width) and objects of one XML file."""

    size: tuple[int, int]
    objects: list[VocObject]


def read_voc(
    root: Path, split: str, classes: Sequence[str] | None = None, on_invalid: OnInvalid = "raise"
) -> DetectionSplit:
    """Reads ``root/ImageSets/Main/SPLIT.txt``, ``root/Annotations/*.xml`` and finds ``root/JPEGImages/*``.

    Args:
        root: a folder such as VOCdevkit/VOC2012.
        split: name of the list.
        classes: names of the classes in the order of their labels; None takes all that occur in ``root/Annotations``,
            sorted, so that every split has the same.
        broken: what to do with an XML file that cannot be read: raise, or leave its image out and note it.

    Raises:
        DataError: a file or folder is missing, an XML file is broken, or an object's class is none of ``classes``.
    """
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    stems = read_image_set(listing)
    names = tuple(all_classes(root)) if classes is None else tuple(classes)
    pictures = {
        file.stem: file.name for file in (root / "JPEGImages").glob("*") if file.suffix.lower() in IMAGE_SUFFIXES
    }
    records: list[ImageRecord] = []
    notes: list[str] = []
    for stem in stems:
        file = root / "Annotations" / f"{stem}.xml"
        try:
            image = read_xml(file)
        except DataError as error:
            if on_invalid == "raise":
                raise
            notes.append(str(error))
            continue
        unknown = [found.name for found in image.objects if found.name not in names]
        if unknown:
            raise DataError(f"{file} has an object {unknown[0]!r}, which is none of the classes {', '.join(names)}.")
        records.append(
            ImageRecord(
                pictures.get(stem, f"{stem}.jpg"),
                image.size,
                [found.box for found in image.objects],
                [names.index(found.name) for found in image.objects],
                [found.difficult for found in image.objects],
            )
        )
    return DetectionSplit.from_records(listing, root / "JPEGImages", names, records, notes, on_invalid)


def all_classes(root: Path) -> list[str]:
    """Names of all classes that occur in ``root/Annotations``, sorted; broken files are passed over.

    Raises:
        DataError: there is no such folder, or no object in it.
    """
    folder = root / "Annotations"
    found: set[str] = set()
    for file in folder.glob("*.xml"):
        try:
            found |= {entry.name for entry in read_xml(file).objects}
        except DataError:
            continue  # named when its own split is read
    if not found:
        raise DataError(f"There are no objects in {folder}: it holds no XML files in Pascal VOC's format.")
    return sorted(found)


def read_xml(file: Path) -> VocImage:
    """Reads one annotation file.

    VOC counts pixels from 1 and includes the last one: a box from xmin 1 to xmax 3 covers 0 to 3 in ours.

    Raises:
        DataError: the file is missing, no XML, or lacks a tag; the message says which.
    """
    try:
        tree = ElementTree.parse(file).getroot()
    except FileNotFoundError as error:
        raise DataError(f"There is no annotation file {file}.") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two of encodings
        raise DataError(f"{file} is not an XML file: {error}.") from error
    height, width = (number(tree, f"size/{side}", file) for side in ("height", "width"))
    if min(height, width) < 1:
        raise DataError(f"{file} says that its image has {width:g}×{height:g} pixels.")
    objects: list[VocObject] = []
    for entry in tree.findall("object"):
        x1, y1, x2, y2 = (number(entry, f"bndbox/{side}", file) for side in ("xmin", "ymin", "xmax", "ymax"))
        difficult = (entry.findtext("difficult") or "0").strip() not in ("0", "")
        objects.append(VocObject(text(entry, "name", file), (x1 - 1, y1 - 1, x2, y2), difficult))
    return VocImage((int(height), int(width)), objects)


def text(element: ElementTree.Element, tag: str, file: Path) -> str:
    """What stands in ``tag`` below ``element``."""
    found = element.findtext(tag)
    if found is None or not found.strip():
        raise DataError(f"{file} lacks <{tag.replace('/', '>/<')}> in <{element.tag}>.")
    return found.strip()


def number(element: ElementTree.Element, tag: str, file: Path) -> float:
    """The number that stands in ``tag`` below ``element``."""
    found = text(element, tag, file)
    try:
        value = float(found)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{file} has {found!r} in <{tag.replace('/', '>/<')}>, which is no number.")
    return value
