"""Reads LabelMe's JSON files: one for each image, with shapes around objects."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any, Self

from ....errors import DataError, format_count
from .base import AnnotatedImage, AnnotatedObject, FilePerImageFormat, group_by_split, parse_each
from .listing import PROBES, Listing, get_stem
from .parsing.class_lists import NOT_CLASSES
from .parsing.fields import FieldError, format_value, parse_flag, parse_integer, parse_name, parse_number
from .parsing.geometry import Box, enclose_points
from .parsing.json_files import find_keys, read_json
from .parsing.repairs import Repairs

KEY = "shapes"
#: shapes around which there is a box, with the number of points that each needs
SHAPES = {"rectangle": 2, "polygon": 3, "circle": 2, "mask": 2, "rotation": 4, "quadrilateral": 4}
OTHER_SHAPES = ("line", "linestrip", "point", "points")


class LabelMeFormat(FilePerImageFormat):
    """LabelMe's JSON files, as X-AnyLabeling writes them too; splits are the folders that are named like splits."""

    name = "labelme"
    title = "LabelMe"
    suffix = ".json"

    @classmethod
    def recognise(cls, listing: Listing) -> Self | None:
        stems = {get_stem(image) for image in listing.images}
        files = listing.annotations(cls.suffix)
        described = [name for name in files if get_stem(name) in stems]
        if not any(find_keys(listing.root / name, KEY) for name in (*described[:PROBES], *files[:PROBES])):
            return None
        # a file that is named like an image is not searched, because its JSON may contain the image
        files = [name for name in files if get_stem(name) in stems or find_keys(listing.root / name, KEY)]
        return cls(listing, group_by_split(listing, files))

    def read_file(self, file: Path, repairs: Repairs) -> tuple[AnnotatedImage, str | None]:
        content = read_json(file)
        shapes = content.get("shapes")
        if not isinstance(shapes, list):
            raise DataError(f"{file} is not in LabelMe's format; it needs a list under 'shapes'.")
        objects = parse_each(shapes, partial(self.read_shape, repairs), file, repairs)
        named = content.get("imagePath")
        image = AnnotatedImage(file.name, objects, read_size(content))
        return image, named if isinstance(named, str) else None

    def read_shape(self, repairs: Repairs, shape: Any) -> AnnotatedObject | None:
        """Reads a shape; None if it has no box, or marks the background.

        Raises:
            FieldError: the shape is unknown, or a value cannot be used.
        """
        if not isinstance(shape, dict):
            raise FieldError(f"{format_value(shape)} instead of a shape")
        kind = str(shape.get("shape_type") or "polygon")
        if kind in OTHER_SHAPES:
            repairs.count(f"shapes of the kind {kind} left out")
            return None
        if kind not in SHAPES:
            raise FieldError(f"the shape_type {format_value(kind)}, which is not one of {', '.join(SHAPES)}")
        try:
            name = parse_name(shape.get("label"))
        except FieldError as error:
            raise FieldError(f"the label {error}") from error
        if name.lower() in NOT_CLASSES:
            repairs.count(f"shapes called {name} left out")
            return None
        try:
            is_difficult = parse_flag(shape.get("difficult"))  # of X-AnyLabeling
        except FieldError as error:
            raise FieldError(f"the flag difficult {error}") from error
        return AnnotatedObject(self.check_class(name), read_box(kind, shape.get("points")), is_difficult)


def read_size(content: dict[str, Any]) -> tuple[int, int] | None:
    """Returns (height, width) of the image; None if the file does not give it."""
    sides: list[int] = []
    for key in ("imageHeight", "imageWidth"):
        try:
            sides.append(parse_integer(content.get(key) or 0))
        except FieldError as error:
            raise FieldError(f"the {key} {error}") from error
    return (sides[0], sides[1]) if min(sides) > 0 else None


def read_box(kind: str, points: object) -> Box:
    """Returns the box around a shape.

    Args:
        kind: one of ``SHAPES``.
        points: list of [x, y]; a circle has its centre and a point of its rim, a mask its first and last pixel.

    Raises:
        FieldError: there are too few points, or a coordinate is not a number.
    """
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise FieldError(f"the points {format_value(points)}, which are not a list of [x, y]")
    if len(points) < SHAPES[kind]:
        raise FieldError(f"{format_count(len(points), 'points')}; the shape_type {kind} has at least {SHAPES[kind]}")
    xs, ys = ([parse_number(point[axis]) for point in points] for axis in (0, 1))
    if kind == "circle":
        radius = math.hypot(xs[1] - xs[0], ys[1] - ys[0])
        return xs[0] - radius, ys[0] - radius, xs[0] + radius, ys[0] + radius
    x1, y1, x2, y2 = enclose_points(xs, ys)
    return (x1, y1, x2 + 1, y2 + 1) if kind == "mask" else (x1, y1, x2, y2)
