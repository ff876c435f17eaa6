"""Writes YOLO's text files: ``data.yaml``, ``images/SPLIT`` and ``labels/SPLIT``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import yaml

from .base import Writer, describe


class YoloWriter(Writer):
    """Writes YOLO's text files, with coordinates to ten decimals of the image's sides.

    An image without objects gets an empty file. The folder is not named in ``data.yaml``, so that it can be moved.
    """

    title = "YOLO"
    stores_sizes = False

    @classmethod
    def image_folder(cls, split: str) -> str:
        return f"images/{split}"

    def write(self) -> None:
        for name, part in self.content.splits.items():
            folder = self.folder / "labels" / name
            folder.mkdir(parents=True)
            corners = part.corners
            sides = np.tile(part.split.sizes[part.objects.images][:, ::-1], 2)
            centred = np.concatenate(((corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]), axis=1)
            values, labels = (centred / sides).tolist(), part.objects.labels.tolist()
            for index, rows in part.rows_of_images():
                lines = [
                    f"{labels[row]} {' '.join(f'{value:.10f}' for value in values[row])}\n"
                    for row in rows
                    if not part.objects.is_crowd[row]
                ]
                file = folder / f"{PurePosixPath(part.names[index]).stem}.txt"
                file.write_text("".join(lines), encoding="utf-8")
        content: dict[str, Any] = {name: self.image_folder(name) for name in self.content.splits}
        content |= {"nc": len(self.content.classes), "names": dict(enumerate(self.content.classes))}
        # last, because it makes the folder a data set; quotes names such as "no" and "1"
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10**6)
        (self.folder / "data.yaml").write_text(text, encoding="utf-8")

    def describe_losses(self) -> list[str]:
        images = sum(len(part.split) for part in self.content.splits.values())
        losses = [
            *self.describe_difficult(),
            *self.describe_crowds(),
            *self.describe_areas(),
            *self.describe_ids(),
            *describe("Image sizes not written", images, "Programs read them from the images."),
        ]
        if "val" not in self.content.splits:
            losses.append("There is no val split, which most YOLO programs need; --val_fraction=0.1 sets one aside.")
        return losses
