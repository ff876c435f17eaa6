"""The generated data set in Pascal VOC's layout."""

from __future__ import annotations

import shutil
from pathlib import Path

from litmobile.tasks.detection.formats.coco import read_coco

OBJECT = (
    "<object><name>{}</name><bndbox><xmin>{:.0f}</xmin><ymin>{:.0f}</ymin><xmax>{:.0f}</xmax><ymax>{:.0f}</ymax>"
    "</bndbox></object>"
)


def write_voc(root: Path, coco: Path, splits: tuple[str, ...] = ("train", "val")) -> Path:
    """Convert the COCO data set in ``coco`` to Pascal VOC's layout in ``root``."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for split in splits:
        data = read_coco(coco / "annotations" / f"instances_{split}.json", coco / split)
        stems = [f"{split}_{data.path(k).stem}" for k in range(len(data))]
        (root / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(stems))
        for k, stem in enumerate(stems):
            shutil.copy(data.path(k), root / "JPEGImages" / f"{stem}.jpg")
            height, width = data.size(k)
            objects = [
                OBJECT.format(data.classes[label], box[0] + 1, box[1] + 1, box[2], box[3])
                for box, label in zip(*data.objects(k), strict=True)
            ]
            size = f"<size><width>{width}</width><height>{height}</height></size>"
            text = f"<annotation>{size}{''.join(objects)}</annotation>"
            (root / "Annotations" / f"{stem}.xml").write_text(text)
    return root
