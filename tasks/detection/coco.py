"""Reads COCO's detection files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_name
from ..split import OnInvalid
from .split import DetectionSplit, check_images_exist, clean_boxes, read_json


def read_coco(file: Path, folder: Path, on_invalid: OnInvalid = "raise") -> DetectionSplit:
    """Reads a COCO detection file.

    Crowds are left out, because only the evaluation uses them. Boxes are clipped to their image; boxes without area
    are left out.

    Args:
        file: the annotations.
        folder: the images.
        on_invalid: "skip" accepts missing images; reading them fails later.

    Raises:
        DataError: a file or folder is missing, the file is not a COCO file, or it contradicts itself or the folder.
    """
    content = read_json(file)
    images, objects, categories = (get_records(content, key, file) for key in ("images", "annotations", "categories"))
    category_ids = np.sort(get_integers(categories, "id", file, "categories"))
    image_ids = get_integers(images, "id", file, "images")
    for what, ids in (("categories", category_ids), ("images", image_ids)):
        values, counts = np.unique(ids, return_counts=True)
        if len(values) < len(ids):
            raise DataError(f"{file}: several {what} have the id {values[counts > 1][0]}.")
    if not len(images) or not len(categories):
        raise DataError(f"{file} contains {len(images)} images and {len(categories)} categories; it needs one of each.")
    by_id = {category["id"]: str(category.get("name", category["id"])) for category in categories}
    check_names_differ(by_id, file)
    names = np.array([str(image.get("file_name", "")) for image in images])
    check_images_exist(names, folder, file, on_invalid)
    sizes = np.stack([get_integers(images, key, file, "images") for key in ("height", "width")], axis=1)

    objects = [record for record in objects if not record.get("iscrowd", 0)]
    owner = find_indices("image", objects, image_ids, file)
    labels = find_indices("category", objects, category_ids, file)
    boxes, has_area, notes = clean_boxes(get_boxes(objects, file), sizes[owner], file)
    order = np.flatnonzero(has_area)[np.argsort(owner[has_area], kind="stable")]
    return DetectionSplit(
        source=file,
        folder=folder,
        names=names,
        image_ids=image_ids,
        sizes=sizes,
        starts=np.searchsorted(owner[order], np.arange(len(images) + 1)),
        boxes=boxes[order],
        labels=labels[order],
        difficult=np.zeros(len(order), dtype=bool),
        classes=tuple(by_id[int(key)] for key in category_ids),
        category_ids=category_ids,
        notes=notes,
        coco_file=file,
    )


def check_names_differ(names: dict[int, str], file: Path) -> None:
    """Raises DataError if two categories have one name, because figures per class have the name as their key."""
    first: dict[str, int] = {}
    for key, name in names.items():
        if first.setdefault(name, key) != key:
            raise DataError(f"{file}: categories {first[name]} and {key} are both called {format_name(name)}.")


def get_records(content: dict[str, Any], key: str, file: Path) -> list[dict[str, Any]]:
    """Returns the list of dictionaries under ``key``."""
    records = content.get(key)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{file} is not a COCO file; it needs a list of records under {key!r}.")
    return records


def get_integers(records: list[dict[str, Any]], key: str, file: Path, where: str) -> NDArray[np.int64]:
    """Returns the integer under ``key`` of every record; ``where`` names the list of records in errors."""
    for number, record in enumerate(records):
        value = record.get(key)
        if not isinstance(value, int) or abs(value) >= 2**63:
            raise DataError(f"{file}: record {number} of {where} has {key} {value!r}, which is not an integer.")
    return np.array([record[key] for record in records], dtype=np.int64)


def find_indices(what: str, objects: list[dict[str, Any]], ids: NDArray[np.int64], file: Path) -> NDArray[np.int64]:
    """Returns the index in ``ids`` of the image or category (``what``) of every object; ``ids`` may be unsorted."""
    wanted = get_integers(objects, f"{what}_id", file, "annotations")
    order = np.argsort(ids)
    position = np.searchsorted(ids[order], wanted).clip(max=len(ids) - 1)
    unknown = np.flatnonzero(ids[order][position] != wanted)
    if len(unknown):
        first = unknown[0]
        raise DataError(
            f"{file}: annotation {objects[first].get('id', first)} has the unknown {what} {wanted[first]} "
            f"({len(unknown)} such annotations)."
        )
    return order[position]


def get_boxes(objects: list[dict[str, Any]], file: Path) -> NDArray[np.float64]:
    """Returns the boxes of the records as x1, y1, x2, y2, ``[B, 4]``."""
    for record in objects:
        box = record.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
            raise DataError(f"{file}: annotation {record.get('id')} has bbox {box!r} instead of [x, y, w, h].")
    xywh = np.array([record["bbox"] for record in objects], dtype=np.float64).reshape(-1, 4)
    return np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
