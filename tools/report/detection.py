"""Parts of a report about a detector."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...errors import format_count
from ...tasks.detection.evaluation.curves import (
    ScoreCurve,
    compute_reliability,
    compute_score_curve,
    precision_curves,
)
from ...tasks.detection.evaluation.evidence import DetectionEvidence
from ...tasks.detection.evaluation.label_errors import MAX_ERRORS, find_label_errors
from ...tasks.detection.evaluation.matching import AREAS, IOU_THRESHOLDS
from ...tasks.detection.evaluation.weighted import RECALLS, average_precisions
from ...tasks.evidence import mean_defined
from ..pages import (
    Bar,
    Html,
    Section,
    Series,
    bar_chart,
    element,
    interval_chart,
    line_chart,
    paragraph,
    table,
)
from .contents import Contents
from .detection_errors import ErrorAnalysis, analyse_errors
from .intervals import Estimates
from .sections import chart_classes, format_range, format_value, show_confusion, show_examples

SHOWN_THRESHOLDS = (0, 5, 8)  # IoU 0.5, 0.75 and 0.9
MAX_LABEL_ERRORS = 20  # in the table
MAX_CHARTS = 12  # precision–recall charts of single classes
#: what TIDE's types of errors mean (Bolya et al. 2020, arXiv 2008.08115)
ERRORS = {
    "Cls": ("wrong class", "right place, IoU at least 0.5 with an object of another class"),
    "Loc": ("wrong place", "right class, IoU of 0.1 to 0.5"),
    "Both": ("wrong class and place", "IoU of 0.1 to 0.5 with an object of another class"),
    "Dupe": ("duplicate", "the object has a better detection"),
    "Bkg": ("background", "IoU below 0.1 with every object"),
    "Miss": ("missed", "no detection of the object, not even a wrong one"),
}


def describe_detection(contents: Contents, estimates: Estimates) -> list[Section]:
    """Returns the parts about classes, errors, scores and images."""
    evidence = cast(DetectionEvidence, contents.evidence)
    curve = compute_score_curve(evidence.matched)
    threshold = evidence.score_threshold
    errors = analyse_errors(evidence, threshold)
    return [
        show_classes(evidence, estimates),
        show_precision(evidence, estimates),
        show_scores(curve),
        *([] if errors is None else [show_errors(errors), show_confused(evidence, errors, threshold)]),
        show_calibration(evidence),
        show_examples(contents, "worst", "Worst images"),
        show_examples(contents, "best", "Best images"),
        show_label_errors(contents, evidence),
    ]


def show_classes(evidence: DetectionEvidence, estimates: Estimates) -> Section:
    """Shows AP by class and size."""
    ones = np.ones((1, len(evidence.names)))
    count = len(evidence.classes)
    by_area = {area: average_precisions(evidence.matched, count, ones, area)[0] for area in AREAS}
    means = {area: mean_defined(values, 1) for area, values in by_area.items()}
    objects = np.bincount(evidence.matched.object_categories, ~evidence.is_crowd, count).astype(int)
    rows = [
        [
            row.name,
            f"{objects[k]:,}",
            format_value(row.value),
            format_range(row),
            format_value(by_area["all"][k, 0]),
            format_value(by_area["all"][k, 5]),
            *(format_value(means[area][k]) for area in ("small", "medium", "large")),
        ]
        for k, row in enumerate(estimates.classes)
    ]
    header = ["class", "objects", "AP", "95 % interval", "AP50", "AP75", "AP small", "AP medium", "AP large"]
    sizes = [row for row in estimates.figures if row.name in ("AP_small", "AP_medium", "AP_large")]
    by_size = element("div", interval_chart("AP by size of the objects", "AP", sizes, (0, 1)), class_="charts")
    return Section(
        "Classes and sizes", [chart_classes(estimates, "AP"), table("AP of each class", header, rows), by_size]
    )


def show_precision(evidence: DetectionEvidence, estimates: Estimates) -> Section:
    """Draws precision over recall: means over the classes, and single classes, those with the lowest AP first."""
    curves = precision_curves(evidence.matched, len(evidence.classes))
    charts = [draw_precision("Mean over the classes", mean_defined(curves, 0))]
    ranked = [k for k in np.argsort([row.value for row in estimates.classes]).tolist() if np.isfinite(curves[k, 0, 0])]
    if len(ranked) > 1:
        charts += [draw_precision(evidence.classes[k], curves[k]) for k in ranked[:MAX_CHARTS]]
    text = f"The {MAX_CHARTS} classes with the lowest AP are drawn. " if len(ranked) > MAX_CHARTS else ""
    note = paragraph(f"{text}Precision is the highest one at that recall or beyond, as COCO's evaluation takes it.")
    return Section("Precision and recall", [note, element("div", *charts, class_="charts")])


def draw_precision(title: str, curves: np.ndarray) -> Html:
    """Draws precision over recall at three IoU thresholds, from ``[T, 101]``."""
    lines = [Series(f"IoU {IOU_THRESHOLDS[k]:.2g}", RECALLS, curves[k]) for k in SHOWN_THRESHOLDS]
    return line_chart(title, ("recall", "precision"), lines, (0, 1), (0, 1))


def show_scores(curve: ScoreCurve) -> Section:
    """Draws precision, recall and F1 over the score threshold."""
    if not len(curve.scores):
        return Section("Score threshold", [paragraph("The network detected nothing.")])
    if not np.isfinite(curve.recall).all():
        return Section("Score threshold", [paragraph("The images have no objects, so every detection is false.")])
    ascending = curve.scores[::-1]
    lines = [
        Series(name, ascending, values[::-1])
        for name, values in (("F1", curve.f1), ("precision", curve.precision), ("recall", curve.recall))
    ]
    at = int(curve.f1.argmax())
    text = (
        f"F1 is highest at a score of {curve.scores[at]:.3f}: precision {curve.precision[at]:.3f}, recall "
        f"{curve.recall[at]:.3f}, F1 {curve.f1[at]:.3f}, over all classes at IoU 0.5. This is the value for "
        "litmobile predict --score where missed and false objects matter equally."
    )
    limits = (0, 1) if are_probabilities(curve.scores) else (None, None)
    chart = line_chart("All classes at IoU 0.5", ("score threshold", "figure"), lines, limits, (0, 1))
    return Section("Score threshold", [paragraph(text), element("div", chart, class_="charts")])


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether all scores are in 0 … 1; those of result files can be any numbers."""
    return bool(((scores >= 0) & (scores <= 1)).all())


def show_errors(errors: ErrorAnalysis) -> Section:
    """Shows how much AP50 each type of error costs."""
    bars = [Bar(ERRORS[key][0], errors.costs[key], f"{errors.costs[key]:.3f}") for key in ERRORS]
    rows = [[ERRORS[key][0], f"{errors.costs[key]:.3f}", f"{errors.counts[key]:,}", ERRORS[key][1]] for key in ERRORS]
    note = (
        "AP50 that would be gained if errors of one type did not exist (TIDE, Bolya et al. 2020). Detections of all "
        "scores count, so most errors of low scores cost nothing."
    )
    chart = bar_chart("Cost of errors", "gain in AP50", bars)
    header = ["error", "gain in AP50", "number", "meaning"]
    return Section(
        "Errors", [paragraph(note), element("div", chart, class_="charts"), table("Errors by type", header, rows, [3])]
    )


def show_confused(evidence: DetectionEvidence, errors: ErrorAnalysis, threshold: float) -> Section:
    """Shows which classes are taken for which."""
    caption = (
        f"Share of each row in %, detections with a score of at least {threshold:.3f} at IoU 0.5. Rows: true class; "
        "background is a detection without an object. Columns: predicted class"
    )
    return show_confusion(errors.confusion, evidence.classes, caption, ["background"], ["missed"])


def show_calibration(evidence: DetectionEvidence) -> Section:
    """Compares scores with the share of right detections."""
    found = compute_reliability(evidence.matched)
    if not found.counts.any():
        return Section("Calibration", [])
    if not are_probabilities(evidence.matched.scores):
        return Section("Calibration", [paragraph("Scores outside 0 … 1 are not probabilities and not calibrated.")])
    lines = [Series("measured", found.confidence, found.precision), Series("calibrated", [0, 1], [0, 1])]
    chart = line_chart("Detections at IoU 0.5", ("score", "share that is right"), lines, (0, 1), (0, 1))
    number = format_count(int(found.counts.sum()), "detections")
    text = (
        f"Of detections with a score of 0.7, 70 % should be right. The expected calibration error over {number} is "
        f"{found.error:.3f}. Below the line, scores are too high; above it, too low."
    )
    return Section("Calibration", [paragraph(text), element("div", chart, class_="charts")])


def show_label_errors(contents: Contents, evidence: DetectionEvidence) -> Section:
    """Shows confident detections that contradict the annotations."""
    found = find_label_errors(evidence)
    if not found:
        return Section("Likely label errors", [])
    rows = [
        [
            evidence.names[error.image],
            evidence.classes[error.category],
            "no object" if error.labelled_as is None else evidence.classes[error.labelled_as],
            f"{error.score:.3f}",
        ]
        for error in found[:MAX_LABEL_ERRORS]
    ]
    text = (
        "Confident detections where the annotations have no object, or one of another class. Look at them: either the "
        "network or the annotation is wrong."
    )
    examples = show_examples(contents, "label_error", "Likely label errors", text).content or [paragraph(text)]
    has_file = any(example.kind == "label_error" for example in contents.examples)
    more = f"; {contents.split}-label-errors.csv has up to {MAX_ERRORS}" if has_file else ""
    caption = f"The {format_count(len(rows), 'detections')} with the highest scores{more}"
    header = ["image", "detected", "annotated", "score"]
    return Section("Likely label errors", [*examples, table(caption, header, rows, words=[1, 2])])
