"""Writes Pascal VOC's XML files: ``Annotations``, ``JPEGImages``, ``ImageSets/Main`` and a list of the classes."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ....tasks.detection.formats.parsing.class_lists import NOT_CLASSES
from ..content import Corners, SplitContent
from .base import Writer, describe

IMAGES = "JPEGImages"
SIDES = ("xmin", "ymin", "xmax", "ymax")


class VocWriter(Writer):
    """Writes Pascal VOC's XML files. Boxes are rounded to whole pixels and are at least one pixel wide and high."""

    title = "Pascal VOC"
    reserved_names = NOT_CLASSES

    @classmethod
    def image_folder(cls, split: str) -> str:
        return IMAGES

    def write(self) -> None:
        lists = self.folder / "ImageSets" / "Main"
        lists.mkdir(parents=True)
        (self.folder / "Annotations").mkdir()
        # VOC's files do not order the classes, and a class may have no object
        (self.folder / "classes.txt").write_text(join_lines(self.content.classes), encoding="utf-8")
        for name, part in self.content.splits.items():
            stems = [PurePosixPath(image).stem for image in part.names]
            (lists / f"{name}.txt").write_text(join_lines(stems), encoding="utf-8")
            boxes = round_boxes(part)
            for index, rows in part.rows_of_images():
                tree = build_tree(part, index, rows, boxes, self.content.classes)
                ElementTree.indent(tree)
                tree.write(self.folder / "Annotations" / f"{stems[index]}.xml", encoding="utf-8")

    def describe_losses(self) -> list[str]:
        parts = self.content.splits.values()
        moved = sum(int((part.corners != round_boxes(part)).any(axis=1).sum()) for part in parts)
        reason = "A side moves by up to half a pixel, or by one if the box is tiny."
        rounded = describe("Boxes rounded to whole pixels", moved, reason)
        return [*rounded, *self.describe_crowds(), *self.describe_areas(), *self.describe_ids()]


def join_lines(lines: Sequence[str]) -> str:
    """Returns the content of a text file with ``lines``."""
    return "".join(f"{line}\n" for line in lines)


def round_boxes(part: SplitContent) -> Corners:
    """Returns the boxes in whole pixels, inside their images and of at least one pixel, ``[B, 4]``."""
    corners = np.round(part.corners)
    ends: NDArray[np.int64] = part.split.sizes[part.objects.images][:, ::-1]
    first = np.minimum(corners[:, :2], ends - 1)
    return np.concatenate((first, np.maximum(corners[:, 2:], first + 1)), axis=1)


def build_tree(
    part: SplitContent, index: int, rows: range, boxes: Corners, classes: Sequence[str]
) -> ElementTree.ElementTree[ElementTree.Element]:
    """Builds the XML file of an image.

    Args:
        part: the split.
        index: the image.
        rows: its objects.
        boxes: the boxes of the split's objects as they are written.
        classes: names of the classes.
    """
    height, width = part.split.size(index)
    root = ElementTree.Element("annotation")
    add_tags(root, folder=IMAGES, filename=part.names[index])
    add_tags(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    for row in rows:
        if part.objects.is_crowd[row]:
            continue
        element = ElementTree.SubElement(root, "object")
        add_tags(element, name=classes[part.objects.labels[row]], difficult=int(part.objects.is_difficult[row]))
        x1, y1, x2, y2 = (int(side) for side in boxes[row])
        # VOC counts pixels from 1 and includes the last
        box = dict(zip(SIDES, (x1 + 1, y1 + 1, x2, y2), strict=True))
        add_tags(ElementTree.SubElement(element, "bndbox"), **box)
    return ElementTree.ElementTree(root)


def add_tags(element: ElementTree.Element, **texts: object) -> None:
    """Adds one tag with text for each keyword."""
    for tag, text in texts.items():
        ElementTree.SubElement(element, tag).text = str(text)
