"""COCO evaluation of the benchmark: ours, and pycocotools as its documentation runs it."""

from __future__ import annotations

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.detection.evaluation.metrics import FIGURES, CocoEvaluator, mean_or_none
from .sides import Setting, Side, Step

# as in COCO's val2017; the detections are as many as its evaluation counts
CLASSES = 80
OBJECTS = 7  # of an image
CROWDS = 0.01  # share of the objects
SIZE = (640, 480)  # width and height of an image
DETECTIONS = 100  # of an image
NEAR = 0.4  # share of the detections that are near an object of their class


class ImageDetections(NamedTuple):
    """Detections of one image, best first: ``[K, 4]`` as x1, y1, x2, y2, ``[K]`` and ``[K]``."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    category_ids: NDArray[np.int64]


def make_boxes(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Makes boxes x, y, w, h inside the image; a third is smaller than 32×32 pixels."""
    sides = np.minimum(np.exp(random.normal(4, 1, (count, 1)) + random.normal(0, 0.3, (count, 2))) + 2, SIZE)
    return np.hstack((random.random((count, 2)) * (SIZE - sides), sides))


def make_data(images: int) -> tuple[dict[str, Any], dict[int, ImageDetections]]:
    """Makes the content of an annotation file, and the detections of each image by its id."""
    random = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    detections: dict[int, ImageDetections] = {}
    for image_id in range(1, images + 1):
        objects = random.poisson(OBJECTS)
        boxes, category_ids = make_boxes(random, objects), random.integers(1, CLASSES + 1, objects)
        annotations += [
            {
                "id": len(annotations) + k + 1,
                "image_id": image_id,
                "category_id": int(category_ids[k]),
                "bbox": boxes[k].tolist(),
                "area": float(0.6 * boxes[k, 2] * boxes[k, 3]),
                "iscrowd": int(random.random() < CROWDS),
            }
            for k in range(objects)
        ]
        found, found_ids = make_boxes(random, DETECTIONS), random.integers(1, CLASSES + 1, DETECTIONS)
        quality = random.random(DETECTIONS)
        if objects:
            is_near = random.random(DETECTIONS) < NEAR
            source = random.integers(objects, size=is_near.sum())
            noise = random.normal(0, 0.15, (len(source), 4)) * np.tile(boxes[source, 2:], 2)
            found[is_near] = boxes[source] + noise * (1 - quality[is_near, None])
            found_ids[is_near] = category_ids[source]
            quality[~is_near] *= 0.3
        found[:, 2:] = found[:, :2] + np.maximum(found[:, 2:], 1)
        order = np.argsort(-quality)
        detections[image_id] = ImageDetections(
            found[order].astype(np.float32), quality[order].astype(np.float32), found_ids[order]
        )
    content = {
        "images": [{"id": k, "width": SIZE[0], "height": SIZE[1]} for k in detections],
        "categories": [{"id": k, "name": f"class {k}"} for k in range(1, CLASSES + 1)],
        "annotations": annotations,
    }
    return content, detections


def evaluation_ours(setting: Setting) -> Step:
    """Makes a step from the detections to the figures and AP per class, as in `litmobile validate`."""
    content, detections = make_data(setting.batch)
    evaluator = CocoEvaluator(content)

    def evaluate() -> dict[str, Any]:
        evaluator.reset()
        for image_id, found in detections.items():
            evaluator.add(image_id, *found)
        return evaluator.compute().as_json()

    return evaluate


def evaluation_pycocotools(setting: Setting) -> Step:
    """Makes the same step with pycocotools: a dictionary for each detection, ``loadRes`` and ``COCOeval``."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    content, detections = make_data(setting.batch)
    truth: Any = COCO()
    truth.dataset = content
    truth.createIndex()

    def evaluate() -> dict[str, Any]:
        records: list[dict[str, Any]] = []
        for image_id, (boxes, scores, category_ids) in detections.items():
            xywh = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
            for box, score, category_id in zip(xywh.tolist(), scores.tolist(), category_ids.tolist(), strict=True):
                records.append({"image_id": image_id, "category_id": category_id, "bbox": box, "score": score})
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(records), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        per_class = {truth.cats[key]["name"]: precision[:, :, k] for k, key in enumerate(evaluation.params.catIds)}
        return {
            "figures": {name: None if x == -1 else float(x) for name, x in zip(FIGURES, evaluation.stats, strict=True)},
            "AP_per_class": {name: mean_or_none(values) for name, values in per_class.items()},
        }

    return evaluate


EVALUATION: dict[str, tuple[Side, Side]] = {"evaluation": (evaluation_ours, evaluation_pycocotools)}
