"""Objects of a detection split: their number, their sizes in the network's input, and duplicates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...tasks.detection import DetectionSplit
from ...tasks.detection.anchors import is_trainable
from ...tasks.detection.transforms import Boxes, box_iou
from .figures import Facts, fraction, percentiles

#: areas in pixels of the image from which COCO calls an object medium or large
MEDIUM, LARGE = 32**2, 96**2
DUPLICATE_IOU = 0.9  # from which two boxes of one class count as the same object


def measure_objects(name: str, chosen: NDArray[np.bool_], split: DetectionSplit, boxes: Boxes) -> Facts:
    """Counts and measures the ``chosen`` objects ``[B]`` of a split, with ``boxes`` ``[B, 4]`` in the input."""
    x1, y1, x2, y2 = split.boxes[chosen].astype(np.float64).T
    area = (x2 - x1) * (y2 - y1)
    width, height = (boxes[chosen, 2:] - boxes[chosen, :2]).astype(np.float64).T
    trainable = is_trainable(boxes[chosen])  # rounding may leave other boxes without height
    objects, small, large = len(area), int((area < MEDIUM).sum()), int((area >= LARGE).sum())
    return {
        "name": name,
        "objects": objects,
        "share": fraction(objects, len(boxes)),
        "images": len(np.unique(split.owners[chosen])),
        "difficult": int(split.difficult[chosen].sum()),
        "small": fraction(small, objects),
        "medium": fraction(objects - small - large, objects),
        "large": fraction(large, objects),
        "width": percentiles(width),
        "height": percentiles(height),
        "size": percentiles(np.sqrt(width * height)),
        "aspect": percentiles(width[trainable] / height[trainable]),
    }


def find_duplicate_objects(split: DetectionSplit) -> list[Facts]:
    """Finds pairs of objects of one image and class with nearly equal boxes; most are labelled twice by mistake."""
    found: list[Facts] = []
    for image in np.flatnonzero(np.diff(split.starts) > 1).tolist():
        boxes, labels = split.objects(image)
        with np.errstate(invalid="ignore"):  # rounding may leave a box without area
            overlap = box_iou(boxes.astype(np.float64), boxes)
        pairs = np.triu((overlap >= DUPLICATE_IOU) & (labels[:, None] == labels), k=1)
        for one, other in np.argwhere(pairs).tolist():
            labelled = {"image": str(split.names[image]), "name": split.classes[labels[one]]}
            pair = {"box": boxes[one].tolist(), "other": boxes[other].tolist(), "iou": float(overlap[one, other])}
            found.append(labelled | pair)
    return found
