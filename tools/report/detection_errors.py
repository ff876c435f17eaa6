"""Types of errors and confusions of a detector, computed by hotcoco."""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.detection.evaluation.coco_backends import build_hotcoco
from ...tasks.detection.evaluation.evidence import DetectionEvidence


class ErrorAnalysis(NamedTuple):
    """What a detector does wrong.

    Attributes:
        costs: AP50 lost by errors of each type of TIDE.
        counts: number of errors of each type.
        confusion: number of objects by true (row) and predicted class (column), ``[C + 1, C + 1]``. The last row is
            detections without an object, the last column objects without a detection.
    """

    costs: dict[str, float]
    counts: dict[str, int]
    confusion: NDArray[np.int64]


def analyse_errors(evidence: DetectionEvidence, threshold: float) -> ErrorAnalysis | None:
    """Computes types of errors, and confusions of detections with a score of at least ``threshold``.

    Returns:
        None where hotcoco is not installed, which has no wheels for some platforms.
    """
    if find_spec("hotcoco") is None:
        return None
    with contextlib.redirect_stdout(io.StringIO()):  # prints its progress
        evaluation = build_hotcoco(evidence.ground_truth(), evidence.detections())
        evaluation.evaluate()
        tide = evaluation.tide_errors()
        confusion = evaluation.confusion_matrix(min_score=threshold)
    return ErrorAnalysis(tide["delta_ap"], tide["counts"], np.asarray(confusion["matrix"]).astype(np.int64))
