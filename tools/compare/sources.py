"""Reads what `litmobile compare` compares: runs, and detections in COCO's result format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ...errors import EvaluationError
from ...tasks.classification.evidence import ClassificationEvidence
from ...tasks.detection.evaluation.evidence import DetectionEvidence
from ...tasks.detection.evaluation.ground_truth import GroundTruth
from ...tasks.evidence import Evidence, load_evidence
from ...tasks.segmentation.evidence import SegmentationEvidence
from ..evaluate import evaluate_results, read_truth
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
            raise EvaluationError(f"{path} is not the folder of a run; a file of detections needs --annotations FILE.")
        else:
            found.setdefault(str(path), []).append((path, read_evidence(path, truth)))
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


def read_evidence(file: Path, truth: GroundTruth) -> DetectionEvidence:
    """Matches the detections of a result file.

    Raises:
        EvaluationError: the file is not a list of detections, or names an image or category that the annotations lack.
    """
    evidence = evaluate_results(file, truth).evidence()
    assert evidence is not None
    return evidence
