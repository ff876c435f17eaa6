"""Writes COCO's JSON files: ``annotations/instances_SPLIT.json`` and images in ``SPLIT``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..content import SplitContent
from .base import Writer, describe


class CocoWriter(Writer):
    """Writes COCO's JSON files. Boxes, areas, crowds, sizes and ids are kept exactly."""

    title = "COCO"

    @classmethod
    def image_folder(cls, split: str) -> str:
        return split

    @property
    def has_ordered_ids(self) -> bool:
        """Whether the ids of the classes ascend, because readers order classes by id."""
        return bool((np.diff(self.content.category_ids) > 0).all())

    def write(self) -> None:
        count = len(self.content.classes)
        ids: list[int] = self.content.category_ids.tolist() if self.has_ordered_ids else list(range(1, count + 1))
        categories = [{"id": key, "name": name} for key, name in zip(ids, self.content.classes, strict=True)]
        (self.folder / "annotations").mkdir()
        for name, part in self.content.splits.items():
            images, annotations = list_images(part), list_annotations(part, ids)
            content = {"images": images, "annotations": annotations, "categories": categories}
            file = self.folder / "annotations" / f"instances_{name}.json"
            file.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")

    def describe_losses(self) -> list[str]:
        count = 0 if self.has_ordered_ids else len(self.content.classes)
        return [
            *self.describe_difficult(),
            *describe("Objects whose outline is not written", self.content.count_outlines(), "Their areas are kept."),
            *describe("Classes with new ids", count, "COCO orders classes by id, so the ids count from 1."),
        ]


def list_images(part: SplitContent) -> list[dict[str, Any]]:
    """Returns COCO's records of the images."""
    rows = zip(part.split.image_ids.tolist(), part.names, part.split.sizes.tolist(), strict=True)
    return [{"id": key, "file_name": name, "height": size[0], "width": size[1]} for key, name, size in rows]


def list_annotations(part: SplitContent, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Returns COCO's records of the objects; pycocotools takes an id of 0 for none."""
    of_images, labels, boxes, areas, crowds, _ = part.objects
    columns = (x.tolist() for x in (part.split.image_ids[of_images], labels, boxes, areas, crowds))
    return [
        {
            "id": key,
            "image_id": image,
            "category_id": category_ids[label],
            "bbox": box,
            "area": area,
            "iscrowd": int(crowd),
            "segmentation": [],
        }
        for key, image, label, box, area, crowd in zip(itertools.count(1), *columns)
    ]
