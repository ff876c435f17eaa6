"""Runs COCO's evaluation with hotcoco or pycocotools, whose figures are equal.

hotcoco (https://github.com/derekallman/hotcoco) is much faster (``litmobile.tools.benchmark evaluation``), but lacks
wheels for some platforms. pycocotools is the reference.
"""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import numpy as np

from ....backbones.contract import check_choice
from ....errors import UserError
from .ground_truth import Floats, GroundTruth, Integers

BackendChoice = Literal["auto", "hotcoco", "pycocotools"]
Backend = Literal["hotcoco", "pycocotools"]


class CocoArrays(NamedTuple):
    """Result of COCO's evaluation; −1 for a value without objects.

    Attributes:
        figures: the twelve figures in COCO's order, ``[12]``.
        precision: for all areas and at most 100 detections, by IoU threshold, recall and category, ``[10, 101, C]``.
    """

    figures: Floats
    precision: Floats


def choose_backend(choice: BackendChoice) -> Backend:
    """Returns the package for ``choice``; "auto" is hotcoco where it is installed, and pycocotools elsewhere.

    Raises:
        UserError: the choice is unknown, or hotcoco is not installed.
    """
    check_choice("evaluator", choice, ("auto", "hotcoco", "pycocotools"))
    if choice == "pycocotools":
        return "pycocotools"
    if find_spec("hotcoco") is not None:
        return "hotcoco"
    if choice == "hotcoco":
        raise UserError("hotcoco is not installed: run pip install hotcoco, or choose the evaluator pycocotools.")
    return "pycocotools"


def run_backend(backend: Backend, truth: GroundTruth, images: Integers, detections: Floats) -> CocoArrays:
    """Evaluates detections of at least one image.

    Args:
        backend: package that computes the figures.
        truth: the objects.
        images: indices of the evaluated images, ``[N]``.
        detections: index of the image, x, y, width, height, score and index of the category, ``[K, 7]``. Of equal
            scores in one image and category, the first counts as the better one.
    """
    build = build_hotcoco if backend == "hotcoco" else build_pycocotools
    with contextlib.redirect_stdout(io.StringIO()):  # both print their progress
        evaluation = build(truth, detections)
        evaluation.params.imgIds = images.tolist()
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return CocoArrays(np.asarray(evaluation.stats), evaluation.eval["precision"][:, :, :, 0, -1])


def build_hotcoco(truth: GroundTruth, detections: Floats) -> Any:
    """Builds hotcoco's evaluation from arrays, without a Python object for each detection."""
    from hotcoco import COCO, COCOeval

    objects = COCO.from_arrays(
        *build_tables(truth), truth.images, truth.categories, truth.boxes, area=truth.areas, iscrowd=truth.is_crowd
    )
    return COCOeval(objects, objects.load_res(detections), "bbox")


def build_pycocotools(truth: GroundTruth, detections: Floats) -> Any:
    """Builds pycocotools' evaluation.

    Objects and detections are numbered from 1, because pycocotools takes the id 0 for "not matched". Detections do not
    pass through ``loadRes``, which fails without detections.
    """
    from pycocotools.cocoeval import COCOeval

    objects = [
        {"image_id": image, "category_id": category, "bbox": box, "area": area, "iscrowd": int(is_crowd)}
        for image, category, box, area, is_crowd in zip(
            truth.images.tolist(),
            truth.categories.tolist(),
            truth.boxes.tolist(),
            truth.areas.tolist(),
            truth.is_crowd.tolist(),
            strict=True,
        )
    ]
    found = [
        {"image_id": int(image), "category_id": int(k), "bbox": [x, y, w, h], "area": w * h, "score": score}
        for image, x, y, w, h, score, k in detections.tolist()
    ]
    return COCOeval(build_index(truth, objects), build_index(truth, found), "bbox")


def build_index(truth: GroundTruth, records: list[dict[str, Any]]) -> Any:
    """Builds pycocotools' index of objects or detections, which are numbered from 1."""
    from pycocotools.coco import COCO

    images, categories = build_tables(truth)
    for number, record in enumerate(records, start=1):
        record["id"] = number
    coco: Any = COCO()
    coco.dataset = {"images": images, "categories": categories, "annotations": records}
    coco.createIndex()
    return coco


def build_tables(truth: GroundTruth) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns images and categories in COCO's form, with their indices as ids."""
    categories = [{"id": index, "name": name} for index, name in enumerate(truth.classes)]
    return [{"id": index} for index in range(len(truth.image_ids))], categories
