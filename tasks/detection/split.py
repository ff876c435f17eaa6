"""The detection split: objects in flat arrays, whatever format they were read from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from ..files import find_missing_files
from ..images import Image, read_image
from ..split import OnInvalid, Rows, Split


class ImageRecord(NamedTuple):
    """One picture and its objects, as :meth:`DetectionSplit.from_records` takes them.

    Attributes:
        name: file name relative to the image folder.
        size: (height, width) in pixels.
        boxes: ``[n, 4]`` as x1, y1, x2, y2 in pixels: the first pixel of an image reaches from 0 to 1.
        labels: ``[n]``, classes from 0.
        difficult: ``[n]``, whether evaluation should overlook the object; None for no such objects.
    """

    name: str
    size: tuple[int, int]
    boxes: ArrayLike
    labels: Sequence[int]
    difficult: Sequence[bool] | None = None


class Sample(NamedTuple):
    """An image and its objects.

    Attributes:
        image: ``[H, W, 3]`` uint8 RGB.
        boxes: ``[n, 4]`` float32 as x1, y1, x2, y2 in pixels of ``image``.
        labels: ``[n]`` int64.
    """

    image: Image
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DetectionSplit(Split):
    """Images and objects of one split.

    Attributes:
        image_ids: ``[I]`` int64.
        sizes: (height, width) in pixels, ``[I, 2]`` int64.
        starts: objects of image i are rows ``starts[i]`` to ``starts[i + 1]``, ``[I + 1]`` int64.
        boxes: x1, y1, x2, y2 in pixels of the image, inside it and of positive size, ``[B, 4]`` float32; no crowds.
        labels: ``[B]`` int64 from 0, in the order of ``classes``.
        difficult: ``[B]`` bool, objects that evaluation ignores.
        category_ids: ids of the classes in the source, of any kind, ``[C]`` int64.
        coco_file: the COCO file that evaluation reads instead of these arrays, crowds and areas included.
    """

    image_ids: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    difficult: NDArray[np.bool_]
    category_ids: NDArray[np.int64]
    coco_file: Path | None = None

    @classmethod
    def from_records(
        cls,
        source: Path,
        folder: Path,
        classes: Sequence[str],
        records: Sequence[ImageRecord],
        notes: Sequence[str] = (),
        on_invalid: OnInvalid = "raise",
    ) -> DetectionSplit:
        """Annotations of any origin; boxes are clipped to their image, those of no area dropped.

        Raises:
            DataError: there is no image, a label has no class, or an image file is missing; where ``on_invalid`` is "skip",
                missing files are left to those who read the pictures.
        """
        if not records:
            raise DataError(f"{source} lists no images.")
        names = np.array([record.name for record in records])
        lost = find_missing_files(names, folder)
        if lost and on_invalid == "raise":
            raise DataError(f"{source}: {len(lost)} images are not in {folder}, {lost[0]} among them.")
        for record in records:
            if len(record.labels) and not 0 <= min(record.labels) <= max(record.labels) < len(classes):
                raise DataError(f"{source}: {record.name} has a label outside 0 … {len(classes) - 1}.")
        sizes = np.array([record.size for record in records], dtype=np.int64)
        counts = [len(record.labels) for record in records]
        corners = np.concatenate([np.asarray(r.boxes, dtype=np.float64).reshape(-1, 4) for r in records])
        boxes, whole, mended = clean_boxes(corners, np.repeat(sizes, counts, axis=0), source)
        owner = np.repeat(np.arange(len(records)), counts)[whole]
        labels = np.concatenate([np.asarray(r.labels, dtype=np.int64) for r in records])
        difficult = np.concatenate([np.asarray(r.difficult or [False] * len(r.labels), dtype=bool) for r in records])
        return cls(
            source=source,
            folder=folder,
            names=names,
            image_ids=np.arange(1, len(records) + 1),
            sizes=sizes,
            starts=np.searchsorted(owner, np.arange(len(records) + 1)),
            boxes=boxes[whole],
            labels=labels[whole],
            difficult=difficult[whole],
            classes=tuple(classes),
            category_ids=np.arange(1, len(classes) + 1),
            notes=(*notes, *mended),
        )

    def image(self, index: int) -> Image:
        """Image ``index``, ``[H, W, 3]`` uint8 RGB, in the orientation that its boxes refer to."""
        return read_image(self.path(index), self.size(index))

    def sample(self, index: int) -> Sample:
        return Sample(self.image(index), *self.objects(index))

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of image ``index`` in pixels."""
        height, width = self.sizes[index]
        return int(height), int(width)

    def objects(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Boxes ``[n, 4]`` and labels ``[n]`` of image ``index``."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.boxes[rows], self.labels[rows]

    @property
    def owners(self) -> NDArray[np.int64]:
        """``[B]``, the image of every object."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: Rows) -> Self:
        images = np.arange(len(self))[rows]
        counts = np.diff(self.starts)[images]
        starts = np.concatenate(([0], np.cumsum(counts)))
        objects = np.repeat(self.starts[images] - starts[:-1], counts) + np.arange(starts[-1])
        return replace(
            super().take(rows),
            image_ids=self.image_ids[images],
            sizes=self.sizes[images],
            starts=starts,
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            difficult=self.difficult[objects],
        )

    def take_objects(self, objects: NDArray[np.bool_]) -> Self:
        """The same images with only those objects that the mask ``[B]`` selects."""
        return replace(
            self,
            starts=np.concatenate(([0], np.cumsum(objects)))[self.starts],
            boxes=self.boxes[objects],
            labels=self.labels[objects],
            difficult=self.difficult[objects],
        )

    def truth(self) -> dict[str, Any]:
        """What detections are measured against, as the content of a COCO file.

        Difficult objects stand as crowds there, which COCO's evaluation overlooks.
        """
        if self.coco_file is not None:
            return read_json(self.coco_file)
        rows: list[dict[str, Any]] = []
        for image, box, label, difficult in zip(self.owners, self.boxes, self.labels, self.difficult, strict=True):
            x1, y1, x2, y2 = (float(value) for value in box)
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": int(self.image_ids[image]),
                    "category_id": int(self.category_ids[label]),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(difficult),
                }
            )
        images = [
            {"id": int(key), "file_name": str(name), "height": int(height), "width": int(width)}
            for key, name, (height, width) in zip(self.image_ids, self.names, self.sizes, strict=True)
        ]
        categories = [{"id": int(k), "name": name} for k, name in zip(self.category_ids, self.classes, strict=True)]
        return {"images": images, "annotations": rows, "categories": categories}


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


def clean_boxes(
    corners: NDArray[np.float64], sizes: NDArray[np.int64], source: Path
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[str]]:
    """Clips boxes ``[B, 4]`` as x1, y1, x2, y2 to images of ``sizes`` ``[B, 2]``.

    Returns:
        The clipped boxes, which of them have an area, and what was mended, a sentence or none.
    """
    clipped = np.clip(corners, 0, np.tile(sizes[:, ::-1], 2))
    sides = np.concatenate((corners[:, 2:] - corners[:, :2], clipped[:, 2:] - clipped[:, :2]), axis=1)
    whole: NDArray[np.bool_] = np.all(sides > 0, axis=1)  # False for NaN as well
    outside = whole & (np.abs(clipped - corners) > 0.01).any(1)  # a hundredth of a pixel is rounding in the file
    mended = [
        f"{count} boxes {what}"
        for count, what in (
            (int((~whole).sum()), "without area left out"),
            (int(outside.sum()), "clipped to their image"),
        )
        if count
    ]
    return clipped.astype(np.float32), whole, [f"{source}: {' and '.join(mended)}."] if mended else []
