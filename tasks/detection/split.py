"""The detection split: images and their objects, in flat arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import DataError
from ..files import find_missing_files
from ..images import EncodedImage, I_co, Image, read_image
from ..split import OnInvalid, Rows, Split


class ImageRecord(NamedTuple):
    """An image and its objects, for :meth:`DetectionSplit.from_records`.

    Attributes:
        name: file name relative to the image folder.
        size: (height, width) in pixels.
        boxes: ``[n, 4]`` as x1, y1, x2, y2 in pixels; the first pixel of an image extends from 0 to 1.
        labels: ``[n]`` class indices, from 0.
        difficult: ``[n]``, whether the evaluation ignores the object; None for False.
    """

    name: str
    size: tuple[int, int]
    boxes: ArrayLike
    labels: Sequence[int]
    difficult: Sequence[bool] | None = None


class Sample(NamedTuple, Generic[I_co]):
    """An image and its objects.

    Attributes:
        image: ``[H, W, 3]`` uint8 RGB, or a file that is not decoded yet.
        boxes: ``[n, 4]`` float32 as x1, y1, x2, y2 in pixels of ``image``.
        labels: ``[n]`` int64 class indices.
    """

    image: I_co
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class DetectionSplit(Split):
    """Images and objects of one split.

    Attributes:
        image_ids: ids of the images in the source, ``[I]`` int64.
        sizes: (height, width) in pixels, ``[I, 2]`` int64.
        starts: image i has the objects ``starts[i]`` to ``starts[i + 1] - 1``, ``[I + 1]`` int64.
        boxes: x1, y1, x2, y2 in pixels, inside the image and of positive size, ``[B, 4]`` float32; no crowds.
        labels: class indices, ``[B]`` int64.
        difficult: whether the evaluation ignores the object, ``[B]`` bool.
        category_ids: ids of the classes in the source, ``[C]`` int64.
        coco_file: COCO file that the evaluation reads instead of these arrays, because it has crowds and areas.
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
        """Builds a split from records; boxes are clipped to their image, and boxes without area are left out.

        Args:
            source: file or folder that messages name.
            folder: folder of the images.
            classes: class names in the order of their indices.
            records: the images.
            notes: sentences about earlier repairs and omissions.
            on_invalid: "skip" accepts missing images; reading them fails later.

        Raises:
            DataError: ``records`` is empty, a label is not a class index, or an image file is missing.
        """
        if not records:
            raise DataError(f"{source} contains no images.")
        names = np.array([record.name for record in records])
        check_images_exist(names, folder, source, on_invalid)
        for record in records:
            if len(record.labels) and not 0 <= min(record.labels) <= max(record.labels) < len(classes):
                raise DataError(f"{source}: {record.name} has a label outside 0 … {len(classes) - 1}.")
        sizes = np.array([record.size for record in records], dtype=np.int64)
        counts = [len(record.labels) for record in records]
        corners = np.concatenate([np.asarray(r.boxes, dtype=np.float64).reshape(-1, 4) for r in records])
        boxes, has_area, repairs = clean_boxes(corners, np.repeat(sizes, counts, axis=0), source)
        owner = np.repeat(np.arange(len(records)), counts)[has_area]
        labels = np.concatenate([np.asarray(r.labels, dtype=np.int64) for r in records])
        difficult = np.concatenate([np.asarray(r.difficult or [False] * len(r.labels), dtype=bool) for r in records])
        return cls(
            source=source,
            folder=folder,
            names=names,
            image_ids=np.arange(1, len(records) + 1),
            sizes=sizes,
            starts=np.searchsorted(owner, np.arange(len(records) + 1)),
            boxes=boxes[has_area],
            labels=labels[has_area],
            difficult=difficult[has_area],
            classes=tuple(classes),
            category_ids=np.arange(1, len(classes) + 1),
            notes=(*notes, *repairs),
        )

    def image(self, index: int) -> Image:
        """Reads image ``index``, ``[H, W, 3]`` uint8 RGB, in the orientation that its boxes refer to."""
        return read_image(self.path(index), self.size(index))

    def sample(self, index: int) -> Sample[Image]:
        return Sample(self.image(index), *self.objects(index))

    def encoded_sample(self, index: int) -> Sample[EncodedImage]:
        return Sample(EncodedImage.read(self.path(index), self.size(index)), *self.objects(index))

    def size(self, index: int) -> tuple[int, int]:
        """Returns (height, width) of image ``index`` in pixels."""
        height, width = self.sizes[index].tolist()
        return height, width

    def objects(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns boxes ``[n, 4]`` and labels ``[n]`` of image ``index``."""
        rows = slice(self.starts[index], self.starts[index + 1])
        return self.boxes[rows], self.labels[rows]

    @property
    def owners(self) -> NDArray[np.int64]:
        """Index of the image of every object, ``[B]``."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, rows: Rows) -> Self:
        images = np.arange(len(self))[rows]
        counts = np.diff(self.starts)[images]
        starts = np.concatenate(([0], np.cumsum(counts)))
        objects = np.repeat(self.starts[images] - starts[:-1], counts) + np.arange(starts[-1])
        taken = replace(super().take(rows), image_ids=self.image_ids[images], sizes=self.sizes[images])
        return taken._replace_objects(starts, objects)

    def take_objects(self, objects: NDArray[np.bool_]) -> Self:
        """Returns the same images with only the objects that the mask ``[B]`` selects."""
        return self._replace_objects(np.concatenate(([0], np.cumsum(objects)))[self.starts], objects)

    def _replace_objects(self, starts: NDArray[np.int64], rows: Rows) -> Self:
        """Returns the same images with the objects that ``rows`` selects: a mask, or indices in a new order."""
        boxes, labels, difficult = self.boxes[rows], self.labels[rows], self.difficult[rows]
        return replace(self, starts=starts, boxes=boxes, labels=labels, difficult=difficult)

    def to_coco(self) -> dict[str, Any]:
        """Returns the ground truth for the evaluation, as the content of a COCO file.

        Difficult objects become crowds, which COCO's evaluation ignores.
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
    """Reads a JSON file that contains a dictionary.

    Raises:
        DataError: the file is missing, is not JSON, or contains something else.
    """
    if not file.is_file():
        raise DataError(f"There is no annotation file {file}.")
    try:
        content = json.loads(file.read_bytes())
    except ValueError as error:
        raise DataError(f"{file} is not a JSON file: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{file} is not a COCO file; it contains a {type(content).__name__} instead of a dictionary.")
    return content


def check_images_exist(names: NDArray[np.str_], folder: Path, source: Path, on_invalid: OnInvalid) -> None:
    """Raises DataError if ``folder`` does not exist, or if images are missing in it and ``on_invalid`` is "raise"."""
    missing = find_missing_files(names, folder)
    if missing and on_invalid == "raise":
        raise DataError(f"{source}: {len(missing)} images are not in {folder}, such as {missing[0] or 'one unnamed'}.")


def clean_boxes(
    corners: NDArray[np.float64], sizes: NDArray[np.int64], source: Path
) -> tuple[NDArray[np.float32], NDArray[np.bool_], tuple[str, ...]]:
    """Clips boxes ``[B, 4]`` as x1, y1, x2, y2 to images of ``sizes`` ``[B, 2]``.

    Returns:
        The clipped boxes, whether each has an area, and one sentence about the repairs, if any.
    """
    clipped = np.clip(corners, 0, np.tile(sizes[:, ::-1], 2))
    sides = np.concatenate((corners[:, 2:] - corners[:, :2], clipped[:, 2:] - clipped[:, :2]), axis=1)
    has_area: NDArray[np.bool_] = np.all(sides > 0, axis=1)  # False for NaN as well
    was_outside = has_area & (np.abs(clipped - corners) > 0.01).any(1)  # less is rounding in the file
    repairs = {"without area left out": (~has_area).sum(), "clipped to their image": was_outside.sum()}
    text = " and ".join(f"{count} boxes {repair}" for repair, count in repairs.items() if count)
    return clipped.astype(np.float32), has_area, (f"{source}: {text}.",) if text else ()
