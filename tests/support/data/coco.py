"""Random COCO annotations and detections, and their figures by pycocotools as its documentation runs it."""

from __future__ import annotations

import contextlib
import copy
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from litmobile.tasks.detection.evaluation.metrics import FIGURES, CocoEvaluator, mean_or_none

Content = dict[str, Any]
Records = list[dict[str, Any]]
#: options of `make_coco` for data that is hard to match
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "crowds": {"crowds": 0.3},
    "equal scores": {"score_levels": 1},
    "few scores": {"score_levels": 5, "found": 300},
    "equal overlaps": {"grid": 10, "score_levels": 5, "found": 300},
    "equal overlaps with crowds": {"grid": 10, "crowds": 0.3, "found": 300},
    "more than 100 detections": {"images": 2, "classes": 1, "found": 500, "score_levels": 50},
    "few classes detected": {"detected_classes": 2},
    "many images without detections": {"images": 30, "detected_images": 9},
    "many images without objects": {"images": 60, "objects": 10},
    "one object": {"objects": 1, "found": 3},
    "ids from 0": {"first_id": 0},
    "ids beyond 2^53": {"first_id": 2**53 + 1},
}


def make_coco(
    seed: int,
    *,
    images: int = 6,
    classes: int = 4,
    objects: int = 30,
    found: int = 80,
    crowds: float = 0.0,
    score_levels: int = 10**6,
    grid: float = 0.01,
    detected_images: int = 10**6,
    detected_classes: int = 10**6,
    first_id: int = 1,
) -> tuple[Content, Records]:
    """Make the content of an annotation file and of a result file; most detections are near an object.

    Args:
        seed: seed of all values.
        images: number of images.
        classes: number of categories.
        objects: number of objects.
        found: number of detections.
        crowds: share of the objects that are crowds.
        score_levels: number of different scores.
        grid: all coordinates are multiples of this; a coarse one makes equal overlaps.
        detected_images: only the first images have detections.
        detected_classes: only the first categories have detections.
        first_id: smallest id of images and categories.
    """
    random = np.random.default_rng(seed)

    def make_boxes(count: int) -> NDArray[np.float64]:
        boxes = np.column_stack((random.uniform(-20, 200, (count, 2)), random.exponential(50, (count, 2))))
        boxes[random.random(count) < 0.05, 2] = 0  # without area
        return boxes

    image, category = random.integers(images, size=objects), random.integers(classes, size=objects)
    boxes = np.round(make_boxes(objects) / grid) * grid
    areas = boxes[:, 2] * boxes[:, 3] * random.uniform(0.3, 1, objects)  # as of a mask
    is_crowd = random.random(objects) < crowds
    annotations = [
        {
            "id": k + 1,
            "image_id": first_id + int(image[k]),
            "category_id": first_id + int(category[k]),
            "bbox": boxes[k].tolist(),
            "area": float(areas[k]),
            "iscrowd": int(is_crowd[k]),
        }
        for k in range(objects)
    ]
    near = random.integers(objects, size=found)
    is_near = random.random(found) < 0.7
    found_boxes = np.where(is_near[:, None], boxes[near] + random.normal(0, 4, (found, 4)), make_boxes(found))
    found_boxes = np.round(found_boxes / grid) * grid
    found_image = np.where(is_near, image[near], random.integers(images, size=found))
    found_category = np.where(is_near, category[near], random.integers(classes, size=found))
    scores = np.floor(random.random(found) * score_levels) / score_levels
    detections = [
        {
            "image_id": first_id + int(found_image[k]),
            "category_id": first_id + int(found_category[k]),
            "bbox": found_boxes[k].tolist(),
            "score": float(scores[k]),
        }
        for k in range(found)
        if found_image[k] < detected_images and found_category[k] < detected_classes
    ]
    content = {
        "images": [{"id": first_id + k, "file_name": f"{k}.png"} for k in range(images)],
        "categories": [{"id": first_id + k, "name": f"class {k}"} for k in range(classes)],
        "annotations": annotations,
    }
    return content, detections


def add_detections(evaluator: CocoEvaluator, image_ids: list[int], detections: Records) -> None:
    """Add the detections of each image, which keep their order."""
    for image_id in image_ids:
        rows = [row for row in detections if row["image_id"] == image_id]
        boxes = np.array([row["bbox"] for row in rows], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        scores = np.array([row["score"] for row in rows], dtype=np.float64)
        evaluator.add(image_id, boxes, scores, np.array([row["category_id"] for row in rows], dtype=np.int64))


def compute_reference(content: Content, detections: Records, image_ids: list[int]) -> dict[str, dict[str, Any]]:
    """Return pycocotools' twelve figures, and AP by the name of the class."""
    truth = COCO()
    truth.dataset = copy.deepcopy(content)  # type: ignore[assignment] — the stub requires every optional key
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(copy.deepcopy(detections)), "bbox")
        evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    names = [truth.cats[key]["name"] for key in evaluation.params.catIds]
    return {
        "figures": {name: None if x == -1 else x for name, x in zip(FIGURES, evaluation.stats, strict=True)},
        "AP_per_class": {name: mean_or_none(precision[:, :, k]) for k, name in enumerate(names)},
    }
