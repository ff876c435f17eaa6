"""Reads what `litmobile compare` compares: runs, and detections in COCO's result format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ...errors import EvaluationError
from ...tasks.classification.evidence import ClassificationEvidence
from ...tasks.detection.evaluation.evidence import DetectionEvidence
from ...tasks.detection.evaluation.ground_truth import GroundTruth
from ...tasks.detection.evaluation.metrics import CocoEvaluator
from ...tasks.detection.formats.coco import get_records
from ...tasks.detection.formats.parsing.json_files import parse_any_json, parse_json, read_bytes
from ...tasks.evidence import Evidence, load_evidence
from ...tasks.segmentation.evidence import SegmentationEvidence
from .comparison import Side

KINDS: tuple[type[Evidence], ...] = (ClassificationEvidence, DetectionEvidence, SegmentationEvidence)


def read_sides(paths: Sequence[Path], split: str, annotations: Path | None) -> list[Side]:
    """Reads evidence; runs whose configurations differ in nothing but the seed are one configuration.

    Args:
        paths: folders of runs, or COCO result files.
        split: evaluated split of the runs, "val" or "test".
        annotations: COCO file that the result files belong to.

    Raises:
        EvaluationError: a run has no evidence, a file is not a result file, or its annotations are missing.
    """
    truth = None if annotations is None else read_truth(annotations)
    found: dict[str, list[tuple[Path, Evidence]]] = {}
    for path in paths:
        if path.is_dir():
            evidence = load_evidence(path / f"{split}-evidence.npz", KINDS).evidence
            found.setdefault(read_configuration(path), []).append((path, evidence))
        elif truth is None:
            raise EvaluationError(f"{path} is no folder of a run; a file of detections needs --annotations FILE.")
        else:
            found.setdefault(str(path), []).append((path, read_results(path, truth)))
    names = name_paths([runs[0][0] for runs in found.values()])
    return [
        Side(name + (f" (and {len(runs) - 1} more)" if len(runs) > 1 else ""), [evidence for _, evidence in runs])
        for name, runs in zip(names, found.values(), strict=True)
    ]


def read_configuration(run: Path) -> str:
    """Returns the configuration of a run without its seed, or the folder's path if it has none."""
    file = run / "config.yaml"
    if not file.is_file():
        return str(run)
    content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return str(run)
    content.pop("seed_everything", None)
    return yaml.safe_dump(content)


def name_paths(paths: Sequence[Path]) -> list[str]:
    """Returns the last parts of paths, as many as make them differ."""
    for count in range(1, 1 + max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def read_truth(file: Path) -> GroundTruth:
    """Reads the objects of a COCO file; the images themselves are not needed."""
    content = parse_json(read_bytes(file), file)
    for key in ("images", "categories", "annotations"):
        get_records(content, key, file)
    return GroundTruth.from_coco(content)


def read_results(file: Path, truth: GroundTruth) -> DetectionEvidence:
    """Matches the detections of a result file; images without detections count as evaluated.

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
    boxes[:, 2:] += boxes[:, :2]
    evaluator = CocoEvaluator(truth)
    order = np.argsort(images, kind="stable")
    bounds = np.searchsorted(images[order], np.append(truth.image_ids, np.iinfo(np.int64).max))
    for image_id, start, end in zip(truth.image_ids.tolist(), bounds, bounds[1:], strict=False):
        rows = order[start:end]
        evaluator.add(image_id, boxes[rows], scores[rows], categories[rows])
    evaluator.compute()
    evidence = evaluator.evidence()
    assert evidence is not None
    return evidence
