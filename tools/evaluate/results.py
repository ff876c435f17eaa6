"""Reads detections in COCO's result format, and the annotations that they belong to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import EvaluationError, format_count
from ...tasks.data.module import log_notes
from ...tasks.detection.evaluation.evidence import DetectionEvidence
from ...tasks.detection.evaluation.ground_truth import Floats, GroundTruth, Integers
from ...tasks.detection.evaluation.metrics import CocoEvaluator, DetectionTable
from ...tasks.detection.formats.coco import CocoContent, parse_coco
from ...tasks.detection.formats.parsing.fields import MAX_SAFE_FLOAT, format_value
from ...tasks.detection.formats.parsing.json_files import parse_any_json, parse_json, read_bytes
from ...tasks.detection.objects import clean_objects
from ...tasks.examples import ImageReader
from ...tasks.images import Image, read_image

UNLIMITED = 2**31  # side of an image whose size the file does not say


def read_truth(file: Path) -> GroundTruth:
    """Reads the objects of a COCO file by the rules of a training; its images are not read.

    Raises:
        DataError: the file is missing or not a COCO file.
    """
    return build_truth(read_coco(file), file)


def read_coco(file: Path) -> CocoContent:
    """Reads a COCO file.

    Raises:
        DataError: the file is missing or not a COCO file.
    """
    return parse_coco(parse_json(read_bytes(file), file), file)


def build_truth(content: CocoContent, file: Path) -> GroundTruth:
    """Builds the objects of a COCO ``file`` from its ``content``."""
    sizes = np.where(content.sizes > 0, content.sizes, UNLIMITED)
    objects, notes = clean_objects(content.objects, sizes, file)
    log_notes((*content.repairs.notes, *notes))
    names = np.array(content.names, dtype=np.str_)
    return GroundTruth.from_objects(content.image_ids, names, content.category_ids, content.classes, objects)


def make_folder_reader(content: CocoContent, folder: Path) -> ImageReader:
    """Returns a function that reads an image in ``folder`` by its name, in the orientation that its boxes refer to."""
    sizes = dict(zip(content.names, content.sizes.tolist(), strict=True))

    def read(name: str) -> Image:
        height, width = sizes[name]
        return read_image(folder / name, (height, width) if height > 0 else None)

    return read


class Detections(NamedTuple):
    """Detections of a result file.

    Attributes:
        images: id of the image, ``[K]``.
        categories: id of the category, ``[K]``.
        boxes: x, y, width and height in pixels, ``[K, 4]``.
        scores: ``[K]``.
    """

    images: Integers
    categories: Integers
    boxes: Floats
    scores: Floats


def add_results(file: Path, truth: GroundTruth) -> CocoEvaluator:
    """Adds the detections of a result file to an evaluator; images without detections count as evaluated.

    Raises:
        EvaluationError: the file is not a list of detections, or names an image or category that the annotations lack.
    """
    found = read_detections(file)
    for what, values, known in (
        ("image", found.images, truth.image_ids),
        ("category", found.categories, truth.category_ids),
    ):
        unknown = np.flatnonzero(~np.isin(values, known))
        if len(unknown):
            record = f"record {unknown[0]} has the {what}_id {values[unknown[0]]}"
            raise EvaluationError(f"{file}: {record}, which is not in the annotations.")
    evaluator = CocoEvaluator(truth)
    order = np.argsort(found.images, kind="stable")
    bounds = np.searchsorted(found.images[order], truth.image_ids)
    for image_id, rows in zip(truth.image_ids.tolist(), np.split(order, bounds[1:]), strict=True):
        evaluator.add_xywh(image_id, found.boxes[rows], found.scores[rows], found.categories[rows])
    return evaluator


def read_detections(file: Path) -> Detections:
    """Reads a result file; prints a note about boxes with a negative side, which match no object.

    Raises:
        DataError: the file is not JSON.
        EvaluationError: it does not exist, or is not a list of detections; the message names the first wrong record.
    """
    if not file.is_file():
        raise EvaluationError(f"{file} is not a file; pass detections in COCO's result format.")
    records = parse_any_json(file.read_bytes(), file)
    if not isinstance(records, list):
        raise EvaluationError(f"{file} is not in COCO's result format; it needs a list of detections.")
    for number, record in enumerate(records):
        if problem := find_problem(record):
            raise EvaluationError(f"{file}: record {number} {problem}.")
    found = Detections(
        images=np.array([record["image_id"] for record in records], dtype=np.int64),
        categories=np.array([record["category_id"] for record in records], dtype=np.int64),
        boxes=np.array([record["bbox"] for record in records], dtype=np.float64).reshape(-1, 4),
        scores=np.array([record["score"] for record in records], dtype=np.float64),
    )
    if negative := int((found.boxes[:, 2:] < 0).any(axis=1).sum()):
        log_notes((f"{file}: {format_count(negative, 'boxes')} with a negative side match no object.",))
    return found


def find_problem(record: object) -> str:
    """Says why a record is not a detection, e.g. "has no score; it must be a finite number"; "" if it is one."""
    if not isinstance(record, dict):
        return f"is {format_value(record)}; it must be a dictionary of {', '.join(FIELDS)}"
    for key, (is_right, right) in FIELDS.items():
        if not is_right(record.get(key)):
            where = f"of image {record['image_id']} " if key != "image_id" else ""
            given = f"the {key} {format_value(record[key])}" if key in record else f"no {key}"
            return f"{where}has {given}; it must be {right}"
    return ""


def is_integer(value: object) -> bool:
    """Whether a value of a JSON file is an integer of 64 bits; 7.0 is one, as some programs write ids."""
    if type(value) is float:
        return value.is_integer() and abs(value) < MAX_SAFE_FLOAT
    return type(value) is int and abs(value) < 2**63


def is_number(value: object, limit: float = sys.float_info.max) -> bool:
    """Whether a value of a JSON file is a number from −limit to limit; NaN and infinity are not."""
    return isinstance(value, int | float) and type(value) is not bool and abs(value) <= limit


def is_box(value: object) -> bool:
    """Whether a value of a JSON file is a list of four numbers of pixels."""
    return type(value) is list and len(value) == 4 and all(is_number(side, UNLIMITED) for side in value)


#: what the fields of a detection must be
FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "image_id": (is_integer, "an integer"),
    "category_id": (is_integer, "an integer"),
    "bbox": (is_box, f"[x, y, width, height] in numbers up to {UNLIMITED:,}"),
    "score": (is_number, "a finite number"),
}


def match_results(file: Path, truth: GroundTruth) -> DetectionEvidence:
    """Matches the detections of a result file with the objects; COCO's figures are not computed.

    Raises:
        EvaluationError: the file is not a list of detections, or names an image or category that the annotations lack.
    """
    table = DetectionTable.from_images(add_results(file, truth).detections)
    return DetectionEvidence.from_detections(truth, table.images, table.with_images())
