"""Reads Pascal VOC's XML files: one for each image, with lists of the images of each split or without."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Self, TypeVar

from ....errors import DataError
from ...data.files import find_split_word, normalise_path, read_text
from .base import (
    AnnotatedImage,
    AnnotatedObject,
    FilePerImageFormat,
    find_common_folder,
    group_by_split,
    parse_each,
)
from .listing import PROBES, Listing, get_stem
from .parsing.fields import FieldError, parse_flag, parse_integer, parse_name, parse_number
from .parsing.geometry import Box, enclose_points, enclose_rotated_box
from .parsing.repairs import Repairs
from .parsing.xml_files import read_xml, starts_with_tag

Value = TypeVar("Value")
LISTS = "ImageSets/Main"
SIDES = ("xmin", "ymin", "xmax", "ymax")


class VocFormat(FilePerImageFormat):
    """Pascal VOC's XML files.

    Splits are the lists in ``ImageSets/Main``, or lists such as train.txt in ``ImageSets`` or the data set's folder.
    Without lists, they are the folders that are named like splits.
    """

    name = "voc"
    title = "Pascal VOC"
    suffix = ".xml"

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        files = listing.annotations(cls.suffix)
        if not any(starts_with_tag(listing.root / name, "annotation") for name in files[:PROBES]):
            return None
        texts = [name for name in listing.files if name.endswith(".txt")]
        own = [name for name in texts if f"/{name}".rpartition("/")[0].endswith(f"/{LISTS}")]
        others = [name for name in texts if is_split_list(name)]
        groups = read_lists(listing, own or others, files)
        if own and not groups:
            raise DataError(f"{listing.root}: the lists in {LISTS} name no image that has an XML file.")
        return cls(listing, groups or group_by_split(listing, files))

    def read_file(self, file: Path, repairs: Repairs) -> tuple[AnnotatedImage, str | None]:
        root = read_xml(file)
        for element in root.iter():  # programs write <Object>, and the namespace of the document before each tag
            element.tag = element.tag.rpartition("}")[2].lower()
        if root.tag != "annotation":
            raise DataError(f"{file} is not in Pascal VOC's format; its first tag is <{root.tag}>, not <annotation>.")
        sides = [read_value(root, f"size/{side}", parse_integer, default=0) for side in ("height", "width")]
        size = (sides[0], sides[1]) if min(sides) > 0 else None
        objects = parse_each(root.iter("object"), partial(self.read_object, repairs), file, repairs)
        return AnnotatedImage(file.name, objects, size), root.findtext("filename")

    def read_object(self, repairs: Repairs, element: ElementTree.Element) -> AnnotatedObject:
        """Reads an object. VOC counts pixels from 1 and includes the last, so its xmin 1 and xmax 3 become 0 and 3."""
        name = self.check_class(read_value(element, "name", parse_name))
        is_difficult = read_value(element, "difficult", parse_flag, default=False)
        shapes = [element.find(tag) for tag in ("bndbox", "polygon", "robndbox")]
        if shapes[0] is None and shapes[1] is not None:
            x1, y1, x2, y2 = read_polygon(shapes[1])
            repairs.count("boxes derived from polygons")
        elif shapes[0] is None and shapes[2] is not None:
            x1, y1, x2, y2 = enclose_rotated_box(
                *(read_value(shapes[2], tag, parse_number) for tag in ("cx", "cy", "w", "h", "angle"))
            )
            repairs.count("boxes derived from rotated boxes")
        else:
            x1, y1, x2, y2 = (read_value(element, f"bndbox/{side}", parse_number) for side in SIDES)
        return AnnotatedObject(name, (x1 - 1, y1 - 1, x2, y2), is_difficult)


def is_split_list(name: str) -> bool:
    """Whether a file is named like a list of the images of a split, and in a place for it."""
    folder, stem = f"/{name}".rpartition("/")[0], PurePosixPath(name).stem
    return (not folder or folder.endswith("/ImageSets")) and bool(find_split_word(stem) or stem == "trainval")


def read_lists(listing: Listing, lists: list[str], files: list[str]) -> dict[str, list[str]]:
    """Returns the XML files of each list, also missing ones.

    A line is an image's name or path, or one followed by a number. VOC's lists of single classes, such as cat_train.txt
    beside train.txt, contain the same images again and are left out.

    Raises:
        DataError: two lists have one name, or a list is not encoded as UTF-8.
    """
    by_stem = {get_stem(name): name for name in files}
    folder = find_common_folder(files)
    stems = {PurePosixPath(name).stem for name in lists}
    groups: dict[str, list[str]] = {}
    for name in lists:
        split = PurePosixPath(name).stem
        if split in groups:
            raise DataError(f"{listing.root} has several lists called {split}.txt; pass one data set as --data.root.")
        lines = [normalise_path(line.strip()) for line in read_text(listing.root / name).splitlines() if line.strip()]
        if split.rpartition("_")[2] in stems - {split} and any(line.endswith((" 1", " 0", "-1")) for line in lines):
            continue
        words = [line.split()[0] for line in lines]
        named = [
            (line, line.rpartition(" ")[0].strip(), get_stem(line), get_stem(word), word)
            for line, word in zip(lines, words, strict=True)
        ]
        names = [next((name for name in likely if name in by_stem), likely[-1]) for likely in named]
        if any(name in by_stem for name in names):  # else a list of something else
            groups[split] = [by_stem.get(name, f"{folder}/{name}.xml") for name in dict.fromkeys(names)]
    return groups


def read_polygon(polygon: ElementTree.Element) -> Box:
    """Returns the box around a polygon: Roboflow's tags x1, y1, x2, …, or points with the tags x and y.

    Raises:
        FieldError: it has fewer than 3 points, or a coordinate is not a number.
    """
    xs, ys = (
        [parse_number(tag.text) for tag in polygon.iter() if tag.tag.rstrip("0123456789") == axis] for axis in "xy"
    )
    if len(xs) != len(ys) or len(xs) < 3:
        raise FieldError(f"a polygon with {len(xs)} values of x and {len(ys)} of y")
    return enclose_points(xs, ys)


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
    found = [child.text or "" for child in element.findall(tag)]
    if len(found) > 1:
        raise FieldError(f"{len(found)} times <{tag.replace('/', '>/<')}> in <{element.tag}>")
    text = "".join(found).strip()
    if not text and default is not None:
        return default
    shown = f"<{tag.replace('/', '>/<')}>"
    if not text:
        raise FieldError(f"no {shown} in <{element.tag}>")
    try:
        return parse(text)
    except FieldError as error:
        raise FieldError(f"the {shown} {error}") from error
