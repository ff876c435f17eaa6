"""Reads the evidence of the evaluations of all tasks."""

from __future__ import annotations

from pathlib import Path

from ..tasks.classification.evidence import ClassificationEvidence
from ..tasks.detection.evaluation.evidence import DetectionEvidence
from ..tasks.evidence import Evidence, StoredEvidence, evidence_path, load_evidence
from ..tasks.segmentation.evidence import SegmentationEvidence
from .transfer.probes.evidence import ProbeEvidence

KINDS: tuple[type[Evidence], ...] = (ClassificationEvidence, DetectionEvidence, SegmentationEvidence, ProbeEvidence)


def read_evaluation(folder: Path, split: str) -> StoredEvidence:
    """Reads the evidence of a run.

    Raises:
        EvaluationError: the run was not evaluated on "val" or "test", or the file is damaged or of another version.
    """
    return load_evidence(evidence_path(folder, split), KINDS)
