"""Parts of a report about a classifier."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...errors import format_count
from ...tasks.classification.evidence import ClassificationEvidence
from ...tasks.evidence import divide
from ..pages import Section, Series, element, line_chart, paragraph, table
from .contents import Contents
from .intervals import Estimates
from .sections import chart_classes, format_range, format_value, show_confusion, show_examples

MAX_ERRORS = 50  # in the table of errors


def describe_classification(contents: Contents, estimates: Estimates) -> list[Section]:
    """Returns the parts about classes, confusions, calibration and errors."""
    evidence = cast(ClassificationEvidence, contents.evidence)
    matrix = evidence.confusion_matrix()
    caption = "Share of the images of each true class (row) by predicted class (column), in %"
    return [
        show_classes(matrix, estimates),
        show_confusion(matrix, evidence.classes, caption),
        show_calibration(evidence),
        show_examples(contents, "worst", "Most confident errors"),
        show_errors(evidence),
    ]


def show_classes(matrix: np.ndarray, estimates: Estimates) -> Section:
    """Shows recall and precision of each class."""
    precision = divide(matrix.diagonal(), matrix.sum(0))
    rows = [
        [row.name, f"{matrix[k].sum():,}", format_value(row.value), format_range(row), format_value(precision[k])]
        for k, row in enumerate(estimates.classes)
    ]
    header = ["class", "images", "recall", "95 % interval", "precision"]
    return Section("Classes", [chart_classes(estimates, "recall"), table("Figures of each class", header, rows)])


def show_calibration(evidence: ClassificationEvidence) -> Section:
    """Compares confidence with accuracy."""
    confidence, accuracy, _ = evidence.reliability()
    lines = [Series("measured", confidence, accuracy), Series("calibrated", [0, 1], [0, 1])]
    chart = line_chart("Images by confidence", ("confidence", "accuracy"), lines, (0, 1), (0, 1))
    text = (
        "Of the images predicted with a confidence of 0.7, 70 % should be right. Below the line, the network is too "
        "confident; above it, not confident enough."
    )
    return Section("Calibration", [paragraph(text), element("div", chart, class_="charts")])


def show_errors(evidence: ClassificationEvidence) -> Section:
    """Lists the wrong images, those with the highest confidence first."""
    confidence, ranked = evidence.confidence(), evidence.rank_errors()
    if not len(ranked):
        return Section("Errors", [paragraph("All images are classified correctly.")])
    rows = [
        [
            evidence.names[k],
            evidence.classes[evidence.labels[k]],
            evidence.classes[evidence.ranking[k, 0]],
            f"{confidence[k]:.3f}",
            f"{evidence.scores[k, evidence.labels[k]]:.3f}",
        ]
        for k in ranked[:MAX_ERRORS].tolist()
    ]
    shown = f"the {MAX_ERRORS} most confident of " if len(ranked) > MAX_ERRORS else ""
    caption = f"Wrong images: {shown}{format_count(len(ranked), 'errors')}"
    header = ["image", "true class", "predicted class", "confidence", "score of the true class"]
    return Section("Errors", [table(caption, header, rows, words=[1, 2])])
