"""Parses YOLO's label files: one object in each line, with coordinates as fractions of the image's sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .....errors import format_count
from ....data.files import read_text
from ..base import AnnotatedObject
from ..listing import iterate_lines
from ..parsing.class_lists import ClassList
from ..parsing.fields import FieldError, parse_fraction, parse_integer
from ..parsing.geometry import Box, enclose_points
from ..parsing.repairs import Repairs


class LabelParser:
    """Parses label files of one data set.

    Args:
        classes: the class list; None names the classes by their indices.
        key_points: number of values of the key points that follow each box.
    """

    def __init__(self, classes: ClassList | None, key_points: int = 0) -> None:
        self.classes = classes
        self.key_points = key_points

    def read(self, file: Path, repairs: Repairs) -> list[AnnotatedObject]:
        """Reads a label file; a line that cannot be used is left out with its reason.

        Raises:
            DataError: the file is not encoded as UTF-8.
        """
        objects: list[AnnotatedObject] = []
        for number, words in iterate_lines(read_text(file)):
            try:
                objects.append(self.parse(words, repairs))
            except FieldError as error:
                repairs.leave_out(f"{file}: line {number} has {error}")
        return objects

    def parse(self, words: Sequence[str], repairs: Repairs) -> AnnotatedObject:
        """Parses the words of a line: class, centre, width and height, or class and points of a polygon.

        Raises:
            FieldError: the line is neither, or a value is out of range.
        """
        name = self.parse_class(words[0])
        values = words[1:]
        if self.key_points and len(values) == 4 + self.key_points:
            repairs.count("boxes read without their key points")
            values = values[:4]
        if len(values) != 4 and (len(values) < 6 or len(values) % 2):
            raise FieldError(
                f"{format_count(len(words), 'columns')}; a box has 5, without a confidence, and a polygon 7, 9, 11, …"
            )
        numbers = [parse_fraction(value) for value in values]
        if len(values) > 4:
            repairs.count("boxes derived from polygons or rotated boxes")
            return AnnotatedObject(name, enclose_points(numbers[::2], numbers[1::2]))
        return AnnotatedObject(name, convert_box(*numbers))

    def parse_class(self, word: str) -> str:
        """Returns the name of the class with the index ``word``.

        Raises:
            FieldError: it is not an index, or not one of a class.
        """
        try:
            index = parse_integer(word)
        except FieldError as error:
            raise FieldError(f"the class index {error}") from error
        if self.classes is None and index >= 0:
            return str(index)
        if self.classes is None or not 0 <= index < len(self.classes.names):
            last = "" if self.classes is None else f" to {len(self.classes.names) - 1} of {self.classes.file}"
            raise FieldError(f"the class index {index}, which is not one of 0{last or ', 1, …'}")
        return self.classes.names[index]


def convert_box(x: float, y: float, width: float, height: float) -> Box:
    """Returns the corners of a box with the centre (``x``, ``y``)."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def looks_like_labels(file: Path, columns: int = 2) -> bool:
    """Whether the first line of a text file that is not blank has only numbers, and at least so many ``columns``."""
    with file.open("rb") as stream:
        lines = stream.read(4096).decode("utf-8-sig", errors="replace").strip().splitlines()
    try:
        return bool(lines) and len([float(word) for word in lines[0].split()]) >= columns
    except ValueError:
        return False
