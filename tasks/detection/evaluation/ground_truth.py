"""Objects of a COCO annotation file in flat arrays, for the evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import EvaluationError, format_name
from ..objects import ObjectTable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class GroundTruth:
    """Images, categories and objects of an annotation file.

    Objects and detections refer to images and categories by their index. An index fits into a float; an id beyond 2⁵³
    does not.

    Attributes:
        image_ids: ``[I]``, ascending.
        image_names: file names of the images, ``[I]``; empty where the file has none.
        category_ids: ``[C]``.
        classes: names of the categories.
        images: image of each object, ``[B]``, ascending; objects of one image stay in the order of the file.
        categories: category of each object, ``[B]``.
        boxes: x, y, width and height in pixels, ``[B, 4]``.
        areas: area of each object in pixels, ``[B]``, which decides whether it is small, medium or large.
        is_crowd: ``[B]``; crowds are neither found nor missed.
    """

    image_ids: Integers
    image_names: NDArray[np.str_]
    category_ids: Integers
    classes: tuple[str, ...]
    images: Integers
    categories: Integers
    boxes: Floats
    areas: Floats
    is_crowd: NDArray[np.bool_]

    @classmethod
    def from_coco(cls, content: dict[str, Any]) -> GroundTruth:
        """Reads the content of an annotation file.

        A missing ``area`` is that of the box, a missing ``iscrowd`` is False. Objects without a finite box, or of an
        unknown image or category, are left out.
        """
        file_names = {row["id"]: str(row.get("file_name", "")) for row in content["images"]}
        class_names = {row["id"]: str(row.get("name", row["id"])) for row in content["categories"]}
        image_ids, category_ids = sorted(file_names), sorted(class_names)
        image_index = {key: index for index, key in enumerate(image_ids)}
        category_index = {key: index for index, key in enumerate(category_ids)}
        rows = [
            row
            for row in content["annotations"]
            if row.get("bbox") and row["image_id"] in image_index and row["category_id"] in category_index
        ]
        images = np.array([image_index[row["image_id"]] for row in rows], dtype=np.int64)
        boxes = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
        areas = np.array([np.nan if row.get("area") is None else row["area"] for row in rows], dtype=np.float64)
        order = np.argsort(images, kind="stable")
        order = order[np.isfinite(boxes[order]).all(axis=1)]
        return cls(
            image_ids=np.array(image_ids, dtype=np.int64),
            image_names=np.array([file_names[key] for key in image_ids], dtype=np.str_),
            category_ids=np.array(category_ids, dtype=np.int64),
            classes=tuple(class_names[key] for key in category_ids),
            images=images[order],
            categories=np.array([category_index[row["category_id"]] for row in rows], dtype=np.int64)[order],
            boxes=boxes[order],
            areas=np.where(np.isnan(areas), boxes[:, 2] * boxes[:, 3], areas)[order],
            is_crowd=np.array([bool(row.get("iscrowd")) for row in rows], dtype=bool)[order],
        )

    @classmethod
    def from_objects(
        cls,
        image_ids: Integers,
        image_names: NDArray[np.str_],
        category_ids: Integers,
        classes: Sequence[str],
        objects: ObjectTable,
    ) -> GroundTruth:
        """Sorts images by their ids; crowds and difficult objects are neither found nor missed.

        Args:
            image_ids: ids of the images in any order, ``[I]``.
            image_names: their file names, ``[I]``.
            category_ids: ``[C]``.
            classes: names of the categories.
            objects: the objects, with indices of images and categories.
        """
        ids, rank = np.unique(image_ids, return_inverse=True)
        by_id = np.argsort(rank[objects.images], kind="stable")
        return cls(
            image_ids=ids,
            image_names=image_names[np.argsort(image_ids)],
            category_ids=category_ids,
            classes=tuple(classes),
            images=rank[objects.images][by_id],
            categories=objects.labels[by_id],
            boxes=objects.boxes[by_id],
            areas=objects.areas[by_id],
            is_crowd=(objects.is_crowd | objects.is_difficult)[by_id],
        )

    def image_index(self, image_id: int) -> int:
        """Returns the index of an image.

        Raises:
            EvaluationError: the annotations lack the image.
        """
        index = int(np.searchsorted(self.image_ids, image_id))
        if index == len(self.image_ids) or self.image_ids[index] != image_id:
            raise EvaluationError(
                f"Image {image_id} is not in the annotations; add only images of the evaluated split."
            )
        return index

    def describe_image(self, index: int) -> str:
        """Returns id and file name of an image for messages."""
        name = str(self.image_names[index])
        return f"image {self.image_ids[index]}" + (f" ({format_name(name)})" if name else "")

    def category_indices(self, category_ids: NDArray[Any]) -> Integers:
        """Returns the indices of categories ``[K]``.

        Raises:
            EvaluationError: the annotations lack a category.
        """
        order = np.argsort(self.category_ids)
        indices = order[np.searchsorted(self.category_ids, category_ids, sorter=order).clip(max=len(order) - 1)]
        unknown = np.flatnonzero(self.category_ids[indices] != category_ids)
        if len(unknown):
            raise EvaluationError(f"Category {category_ids[unknown[0]]} of a detection is not in the annotations.")
        return indices
