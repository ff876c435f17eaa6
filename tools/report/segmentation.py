"""Parts of a report about a segmenter."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...tasks.evidence import divide
from ...tasks.segmentation.evidence import SegmentationEvidence
from ..pages import Section, table
from .contents import Contents
from .intervals import Estimates
from .sections import chart_classes, format_range, format_value, show_confusion, show_examples


def describe_segmentation(contents: Contents, estimates: Estimates) -> list[Section]:
    """Returns the parts about classes, confusions and images."""
    evidence = cast(SegmentationEvidence, contents.evidence)
    matrix = evidence.confusion_matrix()
    caption = "Share of the pixels of each true class (row) by predicted class (column), in %"
    return [
        show_classes(evidence, matrix, estimates),
        show_confusion(matrix, evidence.classes, caption),
        show_examples(contents, "worst", "Worst images"),
        show_examples(contents, "best", "Best images"),
    ]


def show_classes(evidence: SegmentationEvidence, matrix: np.ndarray, estimates: Estimates) -> Section:
    """Shows IoU, recall, precision and boundary F-score of each class."""
    pixels = matrix.sum(1)
    correct = matrix.diagonal()
    recall, precision = divide(correct, pixels), divide(correct, matrix.sum(0))
    boundary = evidence.boundary_f_per_class(np.ones((1, len(evidence.names))))[0]
    shares = divide(pixels, np.full(len(pixels), pixels.sum()))
    rows = [
        [
            row.name,
            f"{100 * shares[k]:.1f}",
            format_value(row.value),
            format_range(row),
            *(format_value(values[k]) for values in (recall, precision, boundary)),
        ]
        for k, row in enumerate(estimates.classes)
    ]
    header = ["class", "% of pixels", "IoU", "95 % interval", "recall", "precision", "boundary F"]
    return Section("Classes", [chart_classes(estimates, "IoU"), table("Figures of each class", header, rows)])
