"""Reading COCO's detection files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from ..files import find_missing_files
from ..split import OnInvalid
from .split import DetectionSplit, clean_boxes, read_json


def read_coco(file: Path, folder: Path, on_invalid: OnInvalid = "raise") -> DetectionSplit:
    """Reads a COCO detection file.

    Crowd objects are left to the evaluation. Boxes are clipped to their image; those of no area are dropped. Where
    ``on_invalid`` is "skip", missing pictures are left to those who read them.

    Raises:
        DataError: a file or folder is missing, the file is not COCO, or it contradicts itself or the folder.
    """
    content = read_json(file)
    images, objects, categories = (records(content, key, file) for key in ("images", "annotations", "categories"))
    category_ids = np.sort(column(categories, "id", file, "categories"))
    image_ids = column(images, "id", file, "images")
    for what, ids in (("categories", category_ids), ("images", image_ids)):
        values, counts = np.unique(ids, return_counts=True)
        if len(values) < len(ids):
            raise DataError(f"{file}: several {what} have the id {values[counts > 1][0]}.")
    if not len(images) or not len(categories):
        raise DataError(
            f"{file} holds {len(images)} images and {len(categories)} categories: it needs at least one of each."
        )
    by_id = {category["id"]: str(category.get("name", category["id"])) for category in categories}
    names = np.array([str(image.get("file_name", "")) for image in images])
    lost = find_missing_files(names, folder)
    if lost and on_invalid == "raise":
        raise DataError(
            f"{file}: {len(lost)} images are not in {folder}, {lost[0] or 'one without a name'} among them."
        )
    sizes = np.stack([column(images, key, file, "images") for key in ("height", "width")], axis=1)

    objects = [record for record in objects if not record.get("iscrowd", 0)]
    owner = find(column(objects, "image_id", file, "annotations"), image_ids, objects, file, "image")
    labels = find(column(objects, "category_id", file, "annotations"), category_ids, objects, file, "category")
    boxes, whole, mended = clean_boxes(corners(objects, file), sizes[owner], file)
    order = np.flatnonzero(whole)[np.argsort(owner[whole], kind="stable")]
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
        notes=tuple(mended),
        coco_file=file,
    )


def records(content: dict[str, Any], key: str, file: Path) -> list[dict[str, Any]]:
    """The list of dictionaries under ``key``."""
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError(f"{file} is no COCO file: it needs a list of records under {key!r}.")
    return found


def column(rows: list[dict[str, Any]], key: str, file: Path, where: str) -> NDArray[np.int64]:
    """One integer of every record."""
    for number, row in enumerate(rows):
        if not isinstance(row.get(key), int) or abs(row[key]) >= 2**63:
            raise DataError(f"{file}: record {number} of {where} has {key} {row.get(key)!r}, which is no whole number.")
    return np.array([row[key] for row in rows], dtype=np.int64)


def find(
    wanted: NDArray[np.int64], ids: NDArray[np.int64], rows: list[dict[str, Any]], file: Path, what: str
) -> NDArray[np.int64]:
    """Positions of ``wanted`` in ``ids``, which need not be sorted."""
    order = np.argsort(ids)
    place = np.searchsorted(ids[order], wanted).clip(max=len(ids) - 1)
    lost = np.flatnonzero(ids[order][place] != wanted)
    if len(lost):
        row = rows[lost[0]]
        raise DataError(
            f"{file}: annotation {row.get('id', lost[0])} belongs to {what} {wanted[lost[0]]}, which the file does not "
            f"have ({len(lost)} such annotations)."
        )
    return order[place]


def corners(rows: list[dict[str, Any]], file: Path) -> NDArray[np.float64]:
    """Boxes of the records as x1, y1, x2, y2, ``[B, 4]``."""
    for row in rows:
        box = row.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
            raise DataError(f"{file}: annotation {row.get('id')} has bbox {row.get('bbox')!r}, not [x, y, w, h].")
    xywh = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    return np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
