"""`litmobile evaluate`: COCO's figures of detections that any program wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ArgumentError, EvaluationError, UserError
from ..tasks.atomic import write_text
from ..tasks.data.module import log_notes
from ..tasks.detection.evaluation.ground_truth import GroundTruth
from ..tasks.detection.evaluation.metrics import CocoEvaluator
from ..tasks.detection.examples import draw_examples
from ..tasks.detection.formats.coco import CocoContent, parse_coco
from ..tasks.detection.formats.parsing.json_files import parse_any_json, parse_json, read_bytes
from ..tasks.detection.objects import clean_objects
from ..tasks.evidence import save_evidence
from ..tasks.examples import ImageReader, write_examples
from ..tasks.images import Image, read_image
from .options.parser import Parser

DESCRIPTION = (
    "Evaluates detections in COCO's result format, a JSON list of image_id, category_id, bbox and score. All images of "
    "the annotations count, also those without detections."
)

UNLIMITED = 2**31  # side of an image whose size the file does not say


def run(words: Sequence[str]) -> None:
    """Runs ``litmobile evaluate WORDS``.

    Raises:
        UserError: an option is wrong, or a file cannot be read or does not fit the other one.
    """
    parser = Parser(prog="litmobile evaluate", description=DESCRIPTION)
    parser.add_argument("results", type=Path, metavar="RESULTS", help="file of detections")
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS", help="COCO file of the objects")
    help_out = "folder for val.json, val.txt and val-evidence.npz, which litmobile compare takes as it takes a run"
    parser.add_argument("--out", type=Path | None, help=help_out)
    help_images = "folder of the images, from which examples are drawn into the folder of --out"
    parser.add_argument("--images", type=Path | None, help=help_images)
    options = parser.parse_words(list(words))
    if options.images is not None and options.out is None:
        raise ArgumentError("--images needs --out, the folder for the drawn examples.")
    if options.images is not None and not options.images.expanduser().is_dir():
        raise UserError(f"--images={options.images} does not exist; pass the folder of the images.")
    file = options.annotations.expanduser()
    content = parse_coco(parse_json(read_bytes(file), file), file)
    evaluator = evaluate_results(options.results.expanduser(), build_truth(content, file))
    result = evaluator.compute()
    print(result)
    if options.out is not None:
        evidence = evaluator.evidence()
        assert evidence is not None
        identity = {"split": "val", "results": str(options.results), "source": str(options.annotations)}
        save_evidence(options.out / "val-evidence.npz", evidence, identity)
        write_text(options.out / "val.json", json.dumps(identity | result.as_json(), indent=1) + "\n")
        write_text(options.out / "val.txt", f"{result}\n")
        if options.images is not None:
            read = make_image_reader(content, options.images.expanduser())
            write_examples(options.out, "val", draw_examples(evidence, read))


def read_truth(file: Path) -> GroundTruth:
    """Reads the objects of a COCO file by the rules of a training; its images are not read.

    Raises:
        DataError: the file is missing or not a COCO file.
    """
    return build_truth(parse_coco(parse_json(read_bytes(file), file), file), file)


def build_truth(content: CocoContent, file: Path) -> GroundTruth:
    """Builds the objects of a COCO ``file`` from its ``content``."""
    sizes = np.where(content.sizes > 0, content.sizes, UNLIMITED)
    objects, notes = clean_objects(content.objects, sizes, file)
    log_notes((*content.repairs.notes, *notes))
    names = np.array(content.names, dtype=np.str_)
    return GroundTruth.from_objects(content.image_ids, names, content.category_ids, content.classes, objects)


def make_image_reader(content: CocoContent, folder: Path) -> ImageReader:
    """Returns a function that reads an image in ``folder`` by its name, in the orientation that its boxes refer to."""
    sizes = dict(zip(content.names, content.sizes.tolist(), strict=True))

    def read(name: str) -> Image:
        height, width = sizes[name]
        return read_image(folder / name, (height, width) if height > 0 else None)

    return read


def evaluate_results(file: Path, truth: GroundTruth) -> CocoEvaluator:
    """Adds the detections of a result file to an evaluator; images without detections count as evaluated.

    Raises:
        EvaluationError: the file is not a list of detections, or names an image or category that the annotations lack.
    """
    records = parse_any_json(read_bytes(file), file)
    if not isinstance(records, list):
        raise EvaluationError(f"{file} is not in COCO's result format; it needs a list of detections.")
    try:
        images = np.array([record["image_id"] for record in records], dtype=np.int64)
        boxes = np.array([record["bbox"] for record in records], dtype=np.float64).reshape(-1, 4)
        scores = np.array([record["score"] for record in records], dtype=np.float64)
        categories = np.array([record["category_id"] for record in records], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise EvaluationError(
            f"{file} has a record without image_id, category_id, bbox and score as numbers ({error})."
        ) from error
    unknown = np.setdiff1d(images, truth.image_ids)
    if len(unknown):
        raise EvaluationError(f"{file}: image {unknown[0]} is not in the annotations.")
    evaluator = CocoEvaluator(truth)
    order = np.argsort(images, kind="stable")
    bounds = np.searchsorted(images[order], np.append(truth.image_ids, np.iinfo(np.int64).max))
    for image_id, start, end in zip(truth.image_ids.tolist(), bounds, bounds[1:], strict=False):
        rows = order[start:end]
        evaluator.add_xywh(image_id, boxes[rows], scores[rows], categories[rows])
    evaluator.compute()
    return evaluator
