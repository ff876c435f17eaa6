"""Reads COCO's detection files, and those of programs that write them differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....errors import DataError, format_count, format_name
from ...data.files import find_missing_files, match_file_names
from ...data.split import OnInvalid
from ..cache import annotation_key, load_split, store_split
from ..objects import ObjectTable
from ..split import DetectionSplit
from .parsing.fields import FieldError, format_value, parse_flag, parse_integer, parse_name, parse_number
from .parsing.json_files import parse_json, read_bytes
from .parsing.repairs import Repairs
from .parsing.run_lengths import enclose_run_lengths
from .parsing.sizes import measure_missing_sizes

Record = dict[str, Any]
FindImages = Callable[[Sequence[str]], tuple[Path, Sequence[str]]]
UNKNOWN_SIZE = (0, 0)
MIN_CACHED_BYTES = 4_000_000  # smaller files are parsed faster than the cache is worth


class Ids(NamedTuple):
    """Ids of images or categories.

    Attributes:
        numbers: the ids, or 1, 2, … if an id is text, ``[N]`` int64.
        positions: position of each id, as :func:`normalise_id` returns it.
    """

    numbers: NDArray[np.int64]
    positions: dict[int | str, int]


def read_coco(file: Path, folder: Path | FindImages, on_invalid: OnInvalid = "raise") -> DetectionSplit:
    """Reads a COCO detection file.

    What can be derived is derived and noted: a box from its polygons, an area from its box, a size from its image.
    Ids that are text get numbers. A placeholder category, as Roboflow writes it, is left out. A large file is parsed
    once per machine; later starts map its arrays into memory.

    Args:
        file: the annotations.
        folder: the images, or a function that finds their folder and their names in it by their names in the file.
        on_invalid: "skip" leaves out annotations that cannot be used, and accepts missing images; reading them fails
            later.

    Raises:
        DataError: a file or folder is missing, the file is not a COCO file, or it contradicts itself or the folder.
    """
    data = read_bytes(file)
    key = annotation_key(data, on_invalid) if len(data) >= MIN_CACHED_BYTES else None
    if key and (stored := load_split(key, file)):
        found = folder if isinstance(folder, Path) else folder(stored.names.tolist())[0]
        if found.is_dir() and not find_missing_files(stored.names, found):
            return replace(stored, folder=found)
    content = parse_json(data, file)
    del data  # 300 MB for COCO
    parsed = parse_coco(content, file, on_invalid)
    found, names = (folder, parsed.names) if isinstance(folder, Path) else folder(parsed.names)
    matched = match_file_names(names, found)
    check_files_differ(matched, parsed.image_ids, file)
    sizes = measure_missing_sizes(parsed.sizes, matched, found, parsed.repairs, on_invalid)
    check_box_format(parsed.objects.boxes, sizes[parsed.objects.images], file)
    split = DetectionSplit.from_objects(
        source=file,
        folder=found,
        names=matched,
        image_ids=parsed.image_ids,
        sizes=sizes,
        classes=parsed.classes,
        category_ids=parsed.category_ids,
        objects=parsed.objects,
        notes=parsed.repairs.notes,
        on_invalid=on_invalid,
    )
    return store_split(key, split) if key and (parsed.sizes > 0).all() else split


class CocoContent(NamedTuple):
    """Content of a COCO file, before its images are looked at.

    Attributes:
        names: names of the images' files, I of them.
        image_ids: ``[I]``.
        sizes: (height, width) in pixels, 0 where the file has none, ``[I, 2]``.
        classes: C names.
        category_ids: ``[C]``.
        objects: the objects, with indices of images and classes.
        repairs: what was derived or left out.
    """

    names: list[str]
    image_ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    classes: tuple[str, ...]
    category_ids: NDArray[np.int64]
    objects: ObjectTable
    repairs: Repairs


def parse_coco(content: Record, file: Path, on_invalid: OnInvalid = "raise") -> CocoContent:
    """Parses the content of ``file``; see :func:`read_coco`.

    Raises:
        DataError: it is not that of a COCO file, or contradicts itself.
    """
    images, categories = get_records(content, "images", file), get_records(content, "categories", file)
    annotations = get_records(content, "annotations", file)
    if not images or not categories:
        counted = f"{format_count(len(images), 'images')} and {format_count(len(categories), 'categories')}"
        raise DataError(f"{file} contains {counted}; it needs both.")
    repairs = Repairs(file)
    image_ids, category_ids = parse_ids(images, "image", file), parse_ids(categories, "category", file)
    objects = parse_objects(annotations, image_ids, category_ids, repairs)
    repairs.check("annotations", on_invalid)
    classes, order = order_classes(categories, category_ids.numbers, objects, file, repairs)
    rank = np.zeros(len(categories), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return CocoContent(
        names=[parse_file_name(image, file) for image in images],
        image_ids=image_ids.numbers,
        sizes=np.array([parse_size(image, file) for image in images], dtype=np.int64),
        classes=tuple(classes),
        category_ids=category_ids.numbers[order],
        objects=objects._replace(labels=rank[objects.labels]),
        repairs=repairs,
    )


def get_records(content: Record, key: str, file: Path) -> list[Record]:
    """Returns the list of dictionaries under ``key``."""
    records = content.get(key)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{file} is not a COCO file; it needs a list of records under {key!r}.")
    return records


def parse_ids(records: Sequence[Record], what: str, file: Path) -> Ids:
    """Returns the ids of ``records``; ``what`` is "image" or "category".

    Raises:
        DataError: an id is missing, or two records share one.
    """
    index: dict[int | str, int] = {}
    for number, record in enumerate(records):
        try:
            key = normalise_id(record.get("id"))
        except FieldError as error:
            raise DataError(f"{file}: {what} {number} has the id {error}.") from error
        if index.setdefault(key, number) != number:
            raise DataError(f"{file}: {what} {index[key]} and {what} {number} both have the id {format_value(key)}.")
    has_text = any(isinstance(key, str) for key in index)
    return Ids(np.array(range(1, len(index) + 1) if has_text else list(index), dtype=np.int64), index)


def normalise_id(value: object) -> int | str:
    """Returns an id by which records find each other: 7, 7.0 and "7" are the same; other text stays text.

    Raises:
        FieldError: the value is not an id.
    """
    if type(value) is int and abs(value) < 2**63:  # nearly all ids; bool is not meant
        return value
    try:
        return parse_integer(value)
    except FieldError:
        if isinstance(value, str):
            return parse_name(value)
        raise


def parse_class_names(categories: Sequence[Record], file: Path) -> list[str]:
    """Returns the names of the categories; one without a name is called by its id."""
    names: list[str] = []
    for category in categories:
        name = category.get("name")
        try:
            names.append(parse_name(category["id"] if name is None else name))
        except FieldError as error:
            raise DataError(f"{file}: category {category['id']} has the name {error}.") from error
    return names


def check_names_differ(names: Sequence[str], ids: NDArray[np.int64], file: Path) -> None:
    """Raises DataError if two categories have one name, because figures per class have the name as their key."""
    first: dict[str, int] = {}
    for key, name in zip(ids.tolist(), names, strict=True):
        if first.setdefault(name, key) != key:
            raise DataError(f"{file}: categories {first[name]} and {key} are both called {format_name(name)}.")


def check_files_differ(names: NDArray[np.str_], ids: NDArray[np.int64], file: Path) -> None:
    """Raises DataError if two images are one file, because each would have only some of its objects."""
    order = np.argsort(names, kind="stable")
    repeated = np.flatnonzero(names[order][1:] == names[order][:-1])
    if len(repeated):
        one, other = ids[order[repeated[0]]], ids[order[repeated[0] + 1]]
        name = format_name(str(names[order[repeated[0]]]))
        raise DataError(f"{file}: images {one} and {other} are both the file {name}; keep one of them.")


def check_box_format(boxes: NDArray[np.float64], sizes: NDArray[np.int64], file: Path) -> None:
    """Raises DataError if ``boxes`` ``[B, 4]`` seem to be x1, y1, x2, y2 in images of ``sizes`` ``[B, 2]``.

    All are corners inside their image, but a quarter of them is partly outside as x, y, width and height.
    """
    limits = sizes[:, ::-1]
    are_corners = (boxes[:, 2:] > boxes[:, :2]).all() and (boxes[:, 2:] <= limits).all()
    outside = (boxes[:, :2] + boxes[:, 2:] > limits + 1).any(axis=1)
    if len(boxes) and are_corners and outside.mean() >= 0.25:
        raise DataError(f"{file}: the boxes seem to be [x1, y1, x2, y2]; COCO's are [x, y, width, height].")


def parse_file_name(image: Record, file: Path) -> str:
    """Returns the file name of an image."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{file}: image {image['id']} has the file_name {format_value(name)}, which is not a name.")
    return name


def parse_size(image: Record, file: Path) -> tuple[int, int]:
    """Returns (height, width) of an image; ``UNKNOWN_SIZE`` if one is missing or zero."""
    sides: list[int] = []
    for key in ("height", "width"):
        try:
            sides.append(parse_integer(image.get(key) or 0))
        except FieldError as error:
            raise DataError(f"{file}: image {image['id']} has the {key} {error}.") from error
    return (sides[0], sides[1]) if min(sides) > 0 else UNKNOWN_SIZE


def parse_objects(annotations: Sequence[Record], image_ids: Ids, category_ids: Ids, repairs: Repairs) -> ObjectTable:
    """Returns the objects; labels are positions in the list of categories."""
    images, labels, boxes, areas, crowds = [], [], [], [], []
    ids: set[object] = set()
    for number, record in enumerate(annotations):
        try:
            image = find_index(record, "image", image_ids)
            label = find_index(record, "category", category_ids)
            box = parse_box(record, repairs)
            crowd = parse_field(record, "iscrowd", parse_flag) if "iscrowd" in record else False
        except FieldError as error:
            repairs.leave_out(f"{repairs.source}: annotation {record.get('id', number)} has {error}")
            continue
        if isinstance(key := record.get("id"), int | str):
            if key in ids:
                repairs.count("annotations kept although another one has their id")
            ids.add(key)
        images.append(image)
        labels.append(label)
        boxes.append(box)
        areas.append(parse_area(record, repairs))
        crowds.append(crowd)
    return ObjectTable(
        images=np.array(images, dtype=np.int64),
        labels=np.array(labels, dtype=np.int64),
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        areas=np.array(areas, dtype=np.float64),
        is_crowd=np.array(crowds, dtype=bool),
        is_difficult=np.zeros(len(crowds), dtype=bool),
    )


def parse_field(record: Record, key: str, parse: Any) -> Any:
    """Parses the value under ``key``; the error names the key."""
    try:
        return parse(record.get(key))
    except FieldError as error:
        raise FieldError(f"the {key} {error}") from error


def find_index(record: Record, what: str, ids: Ids) -> int:
    """Returns the position of the image or category (``what``) of an annotation."""
    key = parse_field(record, f"{what}_id", normalise_id)
    index = ids.positions.get(key)
    if index is None:
        raise FieldError(f"the unknown {what} {format_value(key)}")
    return index


def parse_box(record: Record, repairs: Repairs) -> Sequence[float]:
    """Returns x, y, width and height of an annotation, from its polygons or its mask if it has no box.

    NaN and infinity are kept; such a box has no area.
    """
    box = record.get("bbox")
    if isinstance(box, list) and len(box) == 4:
        if all(type(value) in (int, float) for value in box):
            return box
        if all(isinstance(value, str) for value in box):
            repairs.count("boxes written as text")
            return [parse_field({"bbox": value}, "bbox", parse_number) for value in box]
    if not box and (corners := find_polygon_corners(record.get("segmentation"))) is not None:
        repairs.count("boxes derived from polygons")
        return corners
    if not box and isinstance(mask := record.get("segmentation"), dict):
        left, top, right, bottom = enclose_run_lengths(mask)
        repairs.count("boxes derived from masks")
        return [left, top, right - left, bottom - top]
    raise FieldError(f"the bbox {format_value(box)}, which is not [x, y, width, height]")


def find_polygon_corners(polygons: object) -> list[float] | None:
    """Returns x, y, width and height of the box around polygons [x1, y1, x2, y2, …]; None if there are none."""
    if not isinstance(polygons, list) or not polygons or not all(isinstance(p, list) and len(p) >= 6 for p in polygons):
        return None
    try:
        points = [parse_number(value) for polygon in polygons for value in polygon[: len(polygon) // 2 * 2]]
    except FieldError:
        return None
    left, top = min(points[::2]), min(points[1::2])
    return [left, top, max(points[::2]) - left, max(points[1::2]) - top]


def parse_area(record: Record, repairs: Repairs) -> float:
    """Returns the area of an annotation; NaN stands for the area of its box."""
    value = record.get("area")
    if value is None:
        return math.nan
    if type(value) in (int, float) and 0 <= value < math.inf:
        return value
    repairs.count("areas below 0 or without a number replaced by those of the boxes")
    return math.nan


def order_classes(
    categories: Sequence[Record], ids: NDArray[np.int64], objects: ObjectTable, file: Path, repairs: Repairs
) -> tuple[list[str], NDArray[np.intp]]:
    """Returns the names of the classes and the indices of their categories, in ascending order of the ids.

    Roboflow's exports begin with a placeholder: a category without objects that is the super-category of all others.
    It is not a class.

    Raises:
        DataError: two classes have one name.
    """
    names = parse_class_names(categories, file)
    is_used = np.bincount(objects.labels, minlength=len(names)) > 0
    kept: list[int] = []
    parents = [str(category.get("supercategory")) for category in categories]
    for k in np.argsort(ids, kind="stable").tolist():
        of_others = {*parents[:k], *parents[k + 1 :]} if not is_used[k] else set()
        if of_others == {names[k]}:
            repairs.count(f"placeholder categories left out ({format_name(names[k])})")
        else:
            kept.append(k)
    classes = [names[k] for k in kept]
    check_names_differ(classes, ids[kept], file)
    return classes, np.array(kept, dtype=np.intp)
