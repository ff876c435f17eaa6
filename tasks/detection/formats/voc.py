"""Reads Pascal VOC's layout: one XML file for each image, one list of image names for each split."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ....errors import DataError
from ...data.files import is_image_file, read_image_set
from ...data.split import OnInvalid
from ..split import DetectionSplit, ImageRecord


class VocObject(NamedTuple):
    """An object of an XML file; its box is x1, y1, x2, y2 in pixels from 0."""

    name: str
    box: tuple[float, float, float, float]
    is_difficult: bool


def read_voc(
    root: Path, split: str, classes: Sequence[str] | None = None, on_invalid: OnInvalid = "raise"
) -> DetectionSplit:
    """Reads ``root/ImageSets/Main/SPLIT.txt`` and ``root/Annotations/*.xml``; images are in ``root/JPEGImages``.

    Args:
        root: the folder, e.g. VOCdevkit/VOC2012.
        split: name of the list, e.g. "train".
        classes: class names in the order of their indices. Default: all names in ``root/Annotations``, sorted, so
            that every split has the same classes.
        on_invalid: "raise" stops at an invalid XML file or a missing image; "skip" leaves images with an invalid XML
            file out and notes them.

    Raises:
        DataError: a file or folder is missing, an XML file is invalid, or an object has none of the ``classes``.
    """
    listing = root / "ImageSets" / "Main" / f"{split}.txt"
    stems = read_image_set(listing)
    names = tuple(find_classes(root)) if classes is None else tuple(classes)
    image_names = {file.stem: file.name for file in (root / "JPEGImages").glob("*") if is_image_file(file.name)}
    records: list[ImageRecord] = []
    notes: list[str] = []
    for stem in stems:
        file = root / "Annotations" / f"{stem}.xml"
        try:
            size, objects = read_annotation(file)
        except DataError as error:
            if on_invalid == "raise":
                raise
            notes.append(str(error))
            continue
        unknown = [entry.name for entry in objects if entry.name not in names]
        if unknown:
            raise DataError(f"{file} contains an object {unknown[0]!r}, which is not one of {', '.join(names)}.")
        boxes = [entry.box for entry in objects]
        labels = [names.index(entry.name) for entry in objects]
        difficult = [entry.is_difficult for entry in objects]
        records.append(ImageRecord(image_names.get(stem, f"{stem}.jpg"), size, boxes, labels, difficult))
    return DetectionSplit.from_records(listing, root / "JPEGImages", names, records, notes, on_invalid)


def find_classes(root: Path) -> list[str]:
    """Returns the names of all classes in ``root/Annotations``, sorted; invalid files are ignored.

    Raises:
        DataError: the folder does not exist, or it contains no object.
    """
    folder = root / "Annotations"
    names: set[str] = set()
    for file in folder.glob("*.xml"):
        try:
            _, objects = read_annotation(file)
            names |= {entry.name for entry in objects}
        except DataError:
            continue  # reported when its own split is read
    if not names:
        raise DataError(f"There are no objects in {folder}; it needs XML files in Pascal VOC's format.")
    return sorted(names)


def read_annotation(file: Path) -> tuple[tuple[int, int], list[VocObject]]:
    """Reads the image size (height, width) and the objects of one XML file.

    VOC counts pixels from 1 and includes the last one, so its xmin 1 and xmax 3 become x1 0 and x2 3.

    Raises:
        DataError: the file is missing, is not XML, or lacks a tag.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except FileNotFoundError as error:
        raise DataError(f"There is no annotation file {file}.") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two for wrong encodings
        raise DataError(f"{file} is not an XML file: {error}.") from error
    height, width = (get_number(root, f"size/{side}", file) for side in ("height", "width"))
    if min(height, width) < 1:
        raise DataError(f"{file} gives its image a size of {width:g}×{height:g} pixels, which must be at least 1×1.")
    objects: list[VocObject] = []
    for element in root.findall("object"):
        x1, y1, x2, y2 = (get_number(element, f"bndbox/{side}", file) for side in ("xmin", "ymin", "xmax", "ymax"))
        is_difficult = (element.findtext("difficult") or "0").strip() not in ("0", "")
        objects.append(VocObject(get_text(element, "name", file), (x1 - 1, y1 - 1, x2, y2), is_difficult))
    return (int(height), int(width)), objects


def get_text(element: ElementTree.Element, tag: str, file: Path) -> str:
    """Returns the text of ``tag``, a path below ``element``."""
    text = element.findtext(tag)
    if text is None or not text.strip():
        raise DataError(f"{file} lacks <{tag.replace('/', '>/<')}> in <{element.tag}>.")
    return text.strip()


def get_number(element: ElementTree.Element, tag: str, file: Path) -> float:
    """Returns the number in ``tag``, a path below ``element``."""
    text = get_text(element, tag, file)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{file} has {text!r} in <{tag.replace('/', '>/<')}>, which is not a number.")
    return value
