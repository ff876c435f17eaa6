"""COCO annotations in flat arrays: read once, checked, shared between workers without copies."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class DataError(ValueError):
    """Data that cannot be trained or evaluated on; the message names the file and what is wrong in it."""


@dataclass(frozen=True)
class Annotations:
    """Images and objects of one split.

    Attributes:
        file: the annotation file, which evaluation reads again.
        folder: where the images are.
        names: file names relative to ``folder``, ``[I]``.
        image_ids: ``[I]`` int64.
        sizes: (height, width) in pixels, ``[I, 2]`` int64.
        starts: objects of image i are rows ``starts[i]`` to ``starts[i + 1]``, ``[I + 1]`` int64.
        boxes: x1, y1, x2, y2 in pixels of the image, inside it and of positive size, ``[B, 4]`` float32; no crowds.
        labels: ``[B]`` int64 from 0, in the order of ``classes``.
        classes: names of the categories.
        category_ids: their ids in the file, of any kind, ``[C]`` int64.
        repairs: what was clipped or left out, in a sentence; empty if nothing was.
    """

    file: Path
    folder: Path
    names: NDArray[np.str_]
    image_ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    category_ids: NDArray[np.int64]
    repairs: str

    def __len__(self) -> int:
        return len(self.image_ids)

    def path(self, index: int) -> Path:
        """File of image ``index``."""
        return self.folder / str(self.names[index])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of image ``index`` in pixels."""
        height, width = self.sizes[index]
        return int(height), int(width)

    def objects(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Boxes ``[n, 4]`` and labels ``[n]`` of image ``index``."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.boxes[rows], self.labels[rows]


def read_coco(file: Path, folder: Path) -> Annotations:
    """Reads a COCO detection file.

    Crowd objects are left to the evaluation. Boxes are clipped to their image; those of no area are dropped.

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
    check_files(names, folder, file)
    sizes = np.stack([column(images, key, file, "images") for key in ("height", "width")], axis=1)

    objects = [record for record in objects if not record.get("iscrowd", 0)]
    owner = find(column(objects, "image_id", file, "annotations"), image_ids, objects, file, "image")
    labels = find(column(objects, "category_id", file, "annotations"), category_ids, objects, file, "category")
    boxes, whole, repairs = clean_boxes(objects, sizes[owner], file)
    order = np.flatnonzero(whole)[np.argsort(owner[whole], kind="stable")]
    return Annotations(
        file=file,
        folder=folder,
        names=names,
        image_ids=image_ids,
        sizes=sizes,
        starts=np.searchsorted(owner[order], np.arange(len(images) + 1)),
        boxes=boxes[order],
        labels=labels[order],
        classes=tuple(by_id[int(key)] for key in category_ids),
        category_ids=category_ids,
        repairs=repairs,
    )


def read_json(file: Path) -> dict[str, Any]:
    """The content of a JSON file that has to be a dictionary.

    Raises:
        DataError: the file is missing or something else.
    """
    if not file.is_file():
        raise DataError(f"There is no annotation file {file}.")
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"{file} is no JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} is no COCO file: it holds a {type(content).__name__}, not a dictionary.")
    return content


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


def check_files(names: NDArray[np.str_], folder: Path, file: Path) -> None:
    """Raises DataError unless every image is a file in ``folder``."""
    if not folder.is_dir():
        raise DataError(f"There is no image folder {folder}.")
    there = {entry.name for entry in os.scandir(folder)}
    missing = [name for name in names if name not in there and not (name and (folder / name).is_file())]
    if missing:
        raise DataError(
            f"{file}: {len(missing)} images are not in {folder}, {missing[0] or 'one without a name'} among them."
        )


def clean_boxes(
    rows: list[dict[str, Any]], sizes: NDArray[np.int64], file: Path
) -> tuple[NDArray[np.float32], NDArray[np.bool_], str]:
    """Boxes as x1, y1, x2, y2 inside images of ``sizes``, which of them have an area, and what was mended."""
    for row in rows:
        box = row.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(isinstance(value, int | float) for value in box):
            raise DataError(f"{file}: annotation {row.get('id')} has bbox {row.get('bbox')!r}, not [x, y, w, h].")
    xywh = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
    corners = np.concatenate((xywh[:, :2], xywh[:, :2] + xywh[:, 2:]), axis=1)
    limits = np.tile(sizes[:, ::-1], 2)
    clipped = np.clip(corners, 0, limits)
    sizes_left = np.concatenate((xywh[:, 2:], clipped[:, 2:] - clipped[:, :2]), axis=1)
    whole: NDArray[np.bool_] = np.all(sizes_left > 0, axis=1)  # False for NaN as well
    outside = whole & (np.abs(clipped - corners) > 0.01).any(1)  # a hundredth of a pixel is rounding in the file
    mended = [
        f"{count} boxes {what}"
        for count, what in (
            (int((~whole).sum()), "without area left out"),
            (int(outside.sum()), "clipped to their image"),
        )
        if count
    ]
    return clipped.astype(np.float32), whole, f"{file}: {' and '.join(mended)}." if mended else ""
