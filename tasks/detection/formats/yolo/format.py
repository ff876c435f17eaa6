"""Recognises and reads data sets in YOLO's format: a text file with boxes for each image, and a class list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from .....errors import DataError, format_count, format_name
from ....data.files import find_split_word
from ....data.split import OnInvalid
from ...split import DetectionSplit
from ..base import AnnotatedImage, AnnotatedObject, RecordFormat, find_common_folder
from ..listing import Listing, get_stem
from ..parsing.class_lists import DataYaml, find_class_list, find_data_yaml
from ..parsing.fields import FRACTION_ROUNDING, FieldError, parse_integer
from ..parsing.geometry import Box
from ..parsing.repairs import Repairs
from .labels import LabelParser
from .layout import KEYS, find_labels, find_layout, has_label

MAX_OUTSIDE = 0.02  # of the image's side, by which programs let boxes exceed the image
OTHER_ANNOTATIONS = (".xml", ".json", ".csv")


class YoloFormat(RecordFormat):
    """YOLO's text files, as Ultralytics, Roboflow, Darknet, CVAT and labelImg write them.

    An image without a label file, or with an empty one, has no objects.

    Args:
        listing: the files of the folder.
        labels: the label files.
        data: the YAML file, if there is one.

    Raises:
        DataError: a list or the YAML file cannot be used, or two label files describe one image.
    """

    name = "yolo"
    title = "YOLO"

    def __init__(self, listing: Listing, labels: Sequence[str], data: DataYaml | None = None) -> None:
        super().__init__(listing)
        self.class_list = find_class_list(listing)
        if data and not self.class_list:
            raise DataError(f"{listing.root / data.file} has no names of classes; add them under names.")
        self.parser = LabelParser(self.class_list, count_key_points(data, listing.root) if data else 0)
        self.labels, self.orphans = match_labels(listing, labels)
        if not self.labels:
            counted = format_count(len(labels), "label files")
            raise DataError(f"{listing.root} has {counted} and no image named like one of them.")
        self._listed = Repairs(listing.root)
        self.images, notes = find_layout(listing, data, self.labels, self._listed)
        self.notes = notes + self._listed.notes
        self.splits = {split: find_common_folder(images) for split, images in self.images.items()}

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        labels = find_labels(listing)
        has_others = any(name.lower().endswith(OTHER_ANNOTATIONS) for name in listing.files)
        stems = {get_stem(image) for image in listing.images}
        is_of_images = any(get_stem(name) in stems for name in labels)
        if has_label(listing, labels) and (is_of_images or not has_others):
            return cls(listing, labels, find_data_yaml(listing))
        if not listing.images or has_others:
            return None
        data = find_data_yaml(listing)
        if data is not None and not labels and any(data.content.get(key) for key in KEYS):
            raise DataError(f"{listing.root / data.file} describes images, but none has a label file called IMAGE.txt.")
        return cls(listing, labels, data) if data is not None and labels else None

    @cached_property
    def classes(self) -> tuple[str, ...]:
        if self.class_list is not None:
            return self.class_list.names
        return tuple(sorted(super().classes, key=int))

    def describe_split(self, split: str) -> str:
        images = self.images[split]
        labelled = sum(image in self.labels for image in images)
        return f"{format_count(len(images), 'images')} in {self.splits[split]}, {labelled} with a label file"

    def list_images(self) -> set[str]:
        return {image for images in self.images.values() for image in images}

    def describe_classes(self) -> str:
        return super().describe_classes() if self.class_list else "classes without names, as no list was found"

    def read(self, split: str, on_invalid: OnInvalid) -> DetectionSplit:
        self._listed.check("images", on_invalid)
        images = self.images[split]
        if not any(image in self.labels for image in images):
            folder = self.listing.root / self.splits[split]
            counted = format_count(len(images), "images")
            raise DataError(f"{folder} contains {counted}, none with a label file called IMAGE.txt.")
        return super().read(split, on_invalid)

    def read_images(self, split: str, repairs: Repairs) -> list[AnnotatedImage]:
        for name in self.orphans:
            if find_split_word(self.listing.split_of(name)) in (None, find_split_word(split)):
                repairs.leave_out(f"{self.listing.root / name} has no image called {format_name(get_stem(name))}")
        images: list[AnnotatedImage] = []
        for name in self.images[split]:
            try:
                images.append(AnnotatedImage(name, self._read_label(name, repairs), is_relative=True))
            except DataError as error:
                repairs.leave_out(str(error).removesuffix("."))
        check_box_format([thing.box for image in images for thing in image.objects], repairs.source)
        return images

    def _read_label(self, image: str, repairs: Repairs) -> list[AnnotatedObject]:
        if image not in self.labels:
            repairs.count("images without a label file read as empty")
            return []
        return self.parser.read(self.listing.root / self.labels[image], repairs)


def check_box_format(boxes: Sequence[Box], source: Path) -> None:
    """Raises DataError if lines seem to give corners instead of the centre, the width and the height.

    Args:
        boxes: the boxes as read, in fractions of the image.
        source: where they are from.
    """
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    centres, sides = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    are_corners = (sides > centres).all() and (sides <= 1 + FRACTION_ROUNDING).all()
    outside = ((corners < -MAX_OUTSIDE) | (corners > 1 + MAX_OUTSIDE)).any(axis=1)
    if len(boxes) and are_corners and outside.mean() >= 0.25:
        raise DataError(f"{source}: the boxes seem to be x1, y1, x2, y2; YOLO's are the centre, width and height.")


def match_labels(listing: Listing, labels: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the label file of each image that has one, and the label files without an image.

    Raises:
        DataError: two label files describe one image.
    """
    matched: dict[str, str] = {}
    orphans: list[str] = []
    for name in labels:
        image = listing.find_image(name)
        if image is None:
            orphans.append(name)
        elif matched.setdefault(image, name) != name:
            raise DataError(f"{listing.root / name} and {matched[image]} both describe the image {image}; keep one.")
    return matched, orphans


def count_key_points(data: DataYaml, root: Path) -> int:
    """Returns the number of values of key points after each box, e.g. 51 for the ``kpt_shape`` [17, 3].

    Raises:
        DataError: ``kpt_shape`` is not a list of integers.
    """
    shape = data.content.get("kpt_shape") or ["0"]
    try:
        return math.prod(map(parse_integer, shape))
    except (FieldError, TypeError) as error:
        raise DataError(f"{root / data.file} has the kpt_shape {shape}, which is not a list of integers.") from error
