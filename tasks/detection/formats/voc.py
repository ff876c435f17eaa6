"""Reads Pascal VOC's XML files: one for each image, with lists of the images of each split or without."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Self, TypeVar

from ....errors import DataError
from ...data.files import read_text
from .base import AnnotatedImage, AnnotatedObject, FilePerImageFormat, find_common_folder, group_by_split
from .fields import FieldError, parse_flag, parse_integer, parse_name, parse_number
from .listing import Listing
from .xml_files import read_xml

Value = TypeVar("Value")
LISTS = "ImageSets/Main"
ANNOTATION = re.compile(rb"<annotation[\s>]")


class VocFormat(FilePerImageFormat):
    """Pascal VOC's XML files.

    Splits are the lists in ``ImageSets/Main``; without lists, the folders that are called like splits.
    """

    name = "voc"
    title = "Pascal VOC"

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        files = listing.annotations(".xml")
        if not any(is_voc(listing.root / name) for name in files):
            return None
        lists = [name for name in listing.files if f"/{name}".rpartition("/")[0].endswith(f"/{LISTS}")]
        if not lists:
            return cls(listing, group_by_split(listing, files))
        return cls(listing, read_lists(listing, lists, files))

    def read_file(self, file: Path) -> tuple[AnnotatedImage, str | None]:
        root = read_xml(file)
        if root.tag != "annotation":
            raise DataError(f"{file} is not in Pascal VOC's format; its first tag is <{root.tag}>, not <annotation>.")
        sides = [read_value(root, f"size/{side}", parse_integer, default=0) for side in ("height", "width")]
        size = (sides[0], sides[1]) if min(sides) > 0 else None
        objects = [read_object(element) for element in root.findall("object")]
        return AnnotatedImage(file.name, objects, size), root.findtext("filename")


def is_voc(file: Path) -> bool:
    """Whether an XML file seems to be in Pascal VOC's format; a damaged file is, if it begins like one."""
    with file.open("rb") as stream:
        return ANNOTATION.search(stream.read(4096)) is not None


def read_lists(listing: Listing, lists: list[str], files: list[str]) -> dict[str, list[str]]:
    """Returns the XML files of each list, also missing ones; a line is an image's name, or begins with one."""
    by_stem = {PurePosixPath(name).stem: name for name in files}
    folder = find_common_folder(files)
    groups: dict[str, list[str]] = {}
    for name in (name for name in lists if name.endswith(".txt")):
        lines = [line.strip() for line in read_text(listing.root / name).splitlines() if line.strip()]
        stems = [line if line in by_stem else line.split()[0] for line in lines]
        split = PurePosixPath(name).stem
        if split in groups:
            raise DataError(f"{listing.root} has several lists called {split}.txt; pass one data set as --data.root.")
        if any(stem in by_stem for stem in stems):  # else a list of something else
            groups[split] = [by_stem.get(stem, f"{folder}/{stem}.xml") for stem in stems]
    return groups


def read_object(element: ElementTree.Element) -> AnnotatedObject:
    """Reads an object. VOC counts pixels from 1 and includes the last, so its xmin 1 and xmax 3 become 0 and 3."""
    name = read_value(element, "name", parse_name)
    x1, y1, x2, y2 = (read_value(element, f"bndbox/{side}", parse_number) for side in ("xmin", "ymin", "xmax", "ymax"))
    is_difficult = read_value(element, "difficult", parse_flag, default=False)
    return AnnotatedObject(name, (x1 - 1, y1 - 1, x2, y2), is_difficult)


def read_value(
    element: ElementTree.Element, tag: str, parse: Callable[[object], Value], default: Value | None = None
) -> Value:
    """Parses the text of ``tag``, a path below ``element``.

    Args:
        element: the tag around it.
        tag: e.g. "bndbox/xmin".
        parse: parses the text.
        default: value of a missing or empty tag. None makes the tag required.

    Raises:
        FieldError: the tag is missing, or its text cannot be parsed.
    """
    text = (element.findtext(tag) or "").strip()
    if not text and default is not None:
        return default
    shown = f"<{tag.replace('/', '>/<')}>"
    if not text:
        raise FieldError(f"no {shown} in <{element.tag}>")
    try:
        return parse(text)
    except FieldError as error:
        raise FieldError(f"the {shown} {error}") from error
