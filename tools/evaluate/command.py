"""Evaluates a file of detections, and writes what `litmobile compare` and `litmobile report` need."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...errors import ArgumentError, UserError
from ...tasks.atomic import write_text
from ...tasks.data.fingerprint import hash_arrays
from ...tasks.detection.examples import draw_examples
from ...tasks.detection.formats.parsing.json_files import read_bytes
from ...tasks.evidence import evidence_path, save_evidence
from ...tasks.examples import Examples, write_examples
from ...tasks.run import CONFIG
from ..options.parser import Parser
from ..report.command import write_report
from .results import add_results, build_truth, make_folder_reader, read_coco

DESCRIPTION = (
    "Evaluates detections in COCO's result format, a JSON list of image_id, category_id, bbox and score. All images of "
    "the annotations count, also those without detections."
)


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
    if options.out is not None and (options.out.expanduser() / CONFIG).exists():
        raise UserError(f"--out={options.out} is the folder of a run, whose evaluation it would replace; pass another.")
    file = options.annotations.expanduser()
    content = read_coco(file)
    evaluator = add_results(options.results.expanduser(), build_truth(content, file))
    result = evaluator.compute()
    print(result)
    if options.out is not None:
        folder, evidence = options.out.expanduser(), evaluator.evidence()
        assert evidence is not None
        detections = hash_arrays(np.frombuffer(read_bytes(options.results.expanduser()), dtype=np.uint8))
        paths = {"results": str(options.results), "source": str(options.annotations)}
        identity = {"split": "val", **paths, "detections": detections}
        save_evidence(evidence_path(folder, "val"), evidence, identity)
        write_text(folder / "val.json", json.dumps(identity | result.as_json(), indent=1) + "\n")
        write_text(folder / "val.txt", f"{result}\n")
        examples = Examples()  # replaces those of an earlier evaluation
        if options.images is not None:
            examples = draw_examples(evidence, make_folder_reader(content, options.images.expanduser()))
        write_examples(folder, "val", examples)
        print(f"The page is {write_report(folder, 'val')}")
