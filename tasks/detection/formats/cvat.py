"""Reads CVAT's own XML files: "CVAT for images", with all images of a task or project in one file."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from ....errors import DataError, format_count, format_name
from ...data.files import find_split_word
from .base import (
    AnnotatedImage,
    AnnotatedObject,
    RecordFormat,
    check_images_differ,
    count_undescribed,
    find_common_folder,
    parse_each,
)
from .listing import PROBES, Listing, get_stem
from .parsing.class_lists import ClassList, check_names, find_class_list
from .parsing.fields import FieldError, format_value, parse_flag, parse_integer, parse_name, parse_number
from .parsing.geometry import Box, enclose_ellipse, enclose_points, enclose_rotated_box
from .parsing.repairs import Repairs
from .parsing.xml_files import read_xml, starts_with_tag

T = TypeVar("T")
OTHER_SHAPES = ("polyline", "points", "skeleton", "cuboid", "tag")  # these have no box


class ImageElement(NamedTuple):
    """An image in an XML file.

    Attributes:
        file: the XML file, relative to the data set's folder.
        element: the tag <image>.
        image: the image file, relative to the data set's folder.
    """

    file: str
    element: ElementTree.Element
    image: str


class CvatFormat(RecordFormat):
    """CVAT for images 1.1. Splits are CVAT's subsets, or else the files or folders that are named like splits.

    Args:
        listing: the files of the folder.
        files: the XML files.

    Raises:
        DataError: a file cannot be read, or it describes videos.
    """

    name = "cvat"
    title = "CVAT for images"

    def __init__(self, listing: Listing, files: list[str]) -> None:
        super().__init__(listing)
        roots = {name: read_annotations(listing.root / name) for name in files}
        self.class_list = find_class_list(listing) or read_labels(roots, listing.root)
        self.class_list = self.class_list and self.class_list.without_background()
        self.elements: defaultdict[str, list[ImageElement]] = defaultdict(list)
        self.missing: list[tuple[str, str]] = []  # split and sentence on each image that is not in the folder
        for name, root in roots.items():
            of_file = listing.split_of(name) or (get_stem(name) if find_split_word(get_stem(name)) else "")
            for element in root.iterfind("image"):
                path = element.get("name", "")
                image = listing.find_path(path, name)
                split = element.get("subset", "").strip() or of_file or listing.split_of(image or path)
                if image is None:
                    self.missing.append(
                        (split, f"{listing.root / name}: image {format_name(path)} is not in the folder")
                    )
                else:
                    self.elements[split].append(ImageElement(name, element, image))
        if not self.elements:
            raise DataError(f"{self.missing[0][1]} ({format_count(len(self.missing), 'missing images')}).")
        self.splits = {split: describe_files(elements) for split, elements in self.elements.items()}

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        files = listing.annotations(".xml")
        if not any(starts_with_tag(listing.root / name, "annotations") for name in files[:PROBES]):
            return None
        return cls(listing, [name for name in files if starts_with_tag(listing.root / name, "annotations")])

    def describe_split(self, split: str) -> str:
        return f"{format_count(len(self.elements[split]), 'images')} of {self.splits[split]}"

    def list_images(self) -> set[str]:
        return {element.image for elements in self.elements.values() for element in elements}

    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        for other, reason in self.missing:
            if other in ("", split) or other not in self.splits:
                repairs.leave_out(reason)
        images: list[AnnotatedImage] = []
        for file, element, image in self.elements[split]:
            where = f"{self.listing.root / file}: image {format_name(element.get('name', ''))}"
            try:
                size = read_size(element)
            except FieldError as error:
                repairs.leave_out(f"{where} has {error}")
                continue
            objects = parse_each(element, partial(self.read_shape, repairs), where, repairs)
            images.append(AnnotatedImage(image, objects, size))
        check_images_differ(images, repairs.source)
        count_undescribed(self.listing, images, {get_stem(image) for image in self.list_images()}, repairs)
        return images

    def read_shape(self, repairs: Repairs, shape: ElementTree.Element) -> AnnotatedObject | None:
        """Reads a shape; None if it has no box, or is marked as outside of the image.

        Raises:
            FieldError: the shape is unknown, or a value cannot be used.
        """
        if shape.tag in OTHER_SHAPES:
            repairs.count(f"shapes of the kind {shape.tag} left out")
            return None
        if shape.tag not in READERS:
            raise FieldError(f"the unknown shape <{shape.tag}>")
        if read_attribute(shape, "outside", parse_flag, "0"):
            repairs.count("shapes outside of the image left out")
            return None
        name = self.check_class(read_attribute(shape, "label", parse_name))
        return AnnotatedObject(name, READERS[shape.tag](shape))


def read_annotations(file: Path) -> ElementTree.Element:
    """Returns the tag <annotations> of an XML file.

    Raises:
        DataError: the file is not CVAT's, describes videos, or has no images.
    """
    root = read_xml(file)
    if root.tag != "annotations":
        raise DataError(f"{file} is not in CVAT's format; its first tag is <{root.tag}>, not <annotations>.")
    if root.find("track") is not None:
        raise DataError(f"{file} describes a video by <track>; export it as CVAT for images or as COCO.")
    if root.find("image") is None:
        raise DataError(f"{file} has no <image> in <annotations>; export it as CVAT for images or as COCO.")
    return root


def read_labels(roots: dict[str, ElementTree.Element], folder: Path) -> ClassList | None:
    """Returns the labels of the tasks, projects or jobs in their order; None if no file lists labels."""
    names: dict[str, str] = {}
    for file, root in roots.items():
        found = [label for label in root.iterfind("meta//labels/label") if not label.findtext("parent")]
        found = [label for label in found if label.findtext("type") not in OTHER_SHAPES]
        if found:
            listed = check_names([label.findtext("name") for label in found], folder / file, "label", first=1)
            names |= {name: names.get(name, file) for name in listed}
    return ClassList(next(iter(names.values())), tuple(names)) if names else None


def describe_files(elements: list[ImageElement]) -> str:
    """Returns the file, or the folder of the files, that describe images."""
    files = sorted({element.file for element in elements})
    return files[0] if len(files) == 1 else find_common_folder(files)


def read_size(image: ElementTree.Element) -> tuple[int, int] | None:
    """Returns (height, width) of an image; None if the file does not give it."""
    height, width = (read_attribute(image, side, parse_integer, "0") for side in ("height", "width"))
    return (height, width) if min(height, width) > 0 else None


def read_attribute(element: ElementTree.Element, key: str, parse: Callable[[object], T], default: str = "") -> T:
    """Parses an attribute of a tag; the error names it."""
    text = element.get(key, default)
    try:
        return parse(text)
    except FieldError as error:
        raise FieldError(f"the {key} {error}" if text else f"no {key}") from error


def read_numbers(element: ElementTree.Element, *keys: str) -> list[float]:
    """Parses several attributes."""
    return [read_attribute(element, key, parse_number) for key in keys]


def read_angle(element: ElementTree.Element) -> float:
    """Returns the rotation of a shape in radians."""
    return math.radians(read_attribute(element, "rotation", parse_number, "0"))


def read_box(shape: ElementTree.Element) -> Box:
    """Returns the upright box around a box that may be rotated."""
    x1, y1, x2, y2 = read_numbers(shape, "xtl", "ytl", "xbr", "ybr")
    if not (angle := read_angle(shape)):
        return x1, y1, x2, y2
    return enclose_rotated_box((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, angle)


def read_polygon(shape: ElementTree.Element) -> Box:
    """Returns the box around a polygon with points such as "1.5,2;3,4;5,6"."""
    points = [point.split(",") for point in shape.get("points", "").split(";")]
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise FieldError(f"the points {format_value(shape.get('points'))}, which are not X,Y;X,Y;X,Y")
    return enclose_points(*([parse_number(point[axis]) for point in points] for axis in (0, 1)))


def read_ellipse(shape: ElementTree.Element) -> Box:
    """Returns the box around an ellipse that may be rotated."""
    x, y, x_radius, y_radius = read_numbers(shape, "cx", "cy", "rx", "ry")
    return enclose_ellipse(x, y, x_radius, y_radius, read_angle(shape))


def read_mask(shape: ElementTree.Element) -> Box:
    """Returns the box of a mask."""
    left, top, width, height = read_numbers(shape, "left", "top", "width", "height")
    return left, top, left + width, top + height


READERS = {"box": read_box, "polygon": read_polygon, "ellipse": read_ellipse, "mask": read_mask}
