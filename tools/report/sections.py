"""Parts of a report that all tasks have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import format_count
from ...tasks.drawing import compute_row_shares, format_figure, format_share, select_classes
from ...tasks.history import Row
from ..pages import (
    EmbeddedImage,
    Html,
    Interval,
    Section,
    Series,
    definitions,
    details,
    element,
    format_interval,
    gallery,
    interval_chart,
    line_chart,
    matrix_table,
    paragraph,
    preformatted,
    table,
)
from ..text_tables import NOTHING
from .contents import Contents
from .intervals import RESAMPLES, Estimates

MAX_ROWS = 15  # of the best and of the worst classes, where a chart cannot show all
SPLITS = {"val": "validation split", "test": "test split"}
PAIR_NOTE = "Truth is on the left, prediction on the right."
#: what the figures of all tasks mean, beyond their names
MEANINGS = {
    "AP": "mean over classes and IoU thresholds 0.50 to 0.95",
    "AP50": "at IoU 0.5",
    "AP75": "at IoU 0.75",
    "AP_small": "objects below 32² pixels",
    "AP_medium": "objects of 32² to 96² pixels",
    "AP_large": "objects above 96² pixels",
    "AR_1": "recall with one detection per image and class",
    "AR_10": "recall with 10 detections per image and class",
    "AR_100": "recall with 100 detections per image and class",
    "AR_small": "recall of objects below 32² pixels",
    "AR_medium": "recall of objects of 32² to 96² pixels",
    "AR_large": "recall of objects above 96² pixels",
    "miou": "mean IoU over the classes",
    "pixel_accuracy": "share of the labelled pixels that are right",
    "mean_recall": "mean recall over the classes",
    "boundary_f": "F-score of class boundaries, mean over the classes",
    "top1": "share of the images whose class has the highest score",
    "top5": "share of the images whose class is among the five best",
    "calibration_error": "difference between confidence and accuracy; lower is better",
}


def describe_answer(contents: Contents, estimates: Estimates) -> tuple[list[str], str]:
    """Says the main figure and the best and worst class, and what the interval means."""
    main = estimates.figures[0]
    images = f"{format_count(len(contents.evidence.names), 'images')} of {describe_split(contents)}"
    if not math.isfinite(main.value):
        return [f"{main.name} is undefined on the {images}."], ""
    answer = [f"{main.name} {format_interval(main)} on the {images}.", *describe_extremes(estimates.classes)]
    note = (
        "Intervals are 95 % intervals of a bootstrap over the images. They are about these weights: "
        "another training of the same recipe may differ by more."
    )
    return answer, f"{describe_weights(contents)} {note if math.isfinite(main.low) else ''}".strip()


def describe_split(contents: Contents) -> str:
    """Names the split, or the annotations of a file of detections, whose split is unknown."""
    is_file = "results" in contents.identity
    return Path(contents.identity["source"]).name if is_file else f"the {SPLITS[contents.split]}"


def describe_extremes(classes: Sequence[Interval]) -> list[str]:
    """Names the best and the worst class; of equal ones the first, and the number of the others."""
    defined = sorted((row for row in classes if math.isfinite(row.value)), key=lambda row: row.value)
    if not defined or format_value(defined[0].value) == format_value(defined[-1].value):
        return []

    def name_class(extreme: Interval) -> str:
        value = format_value(extreme.value)
        first, *others = (row for row in classes if format_value(row.value) == value)
        return f"{first.name} and {len(others)} more, {value}" if others else f"{first.name}, {format_interval(first)}"

    return [f"Best class: {name_class(defined[-1])}. Worst: {name_class(defined[0])}."]


def describe_weights(contents: Contents) -> str:
    """Says which weights were evaluated, and whether an earlier validation was better."""
    if "epoch" not in contents.identity:
        return ""
    epoch, step = contents.identity["epoch"], contents.identity["step"]
    text = f"Weights of epoch {epoch}, step {step:,}."
    name = f"val/{contents.evidence.figure_names[0]}"
    values = {entry["step"]: entry[name] for entry in find_validations(contents.validations, name)}
    best = max(values, key=values.__getitem__, default=step)
    if contents.split == "val" and step in values and values[best] > values[step]:
        text += f" Step {best:,} had the best {name}, {values[best]:.3f}: litmobile validate evaluates it."
    return text


def show_figures(contents: Contents, estimates: Estimates) -> Section:
    """Lists all figures with intervals and meaning."""
    rows = [[row.name, format_value(row.value), format_range(row), MEANINGS[row.name]] for row in estimates.figures]
    is_single = len(contents.evidence.names) == 1
    resamples = "a single image has no intervals" if is_single else f"{RESAMPLES} resamples of the images"
    caption = f"Figures of {describe_split(contents)}; {resamples}"
    return Section("Figures", [table(caption, ["", "value", "95 % interval", "meaning"], rows, words=[3])])


def format_value(value: float) -> str:
    """Formats a figure; a dash if it is undefined."""
    return format_figure(value if math.isfinite(value) else None, 3)


def format_range(row: Interval) -> str:
    """Formats an interval; a dash if it is undefined."""
    return f"{row.low:z.3f} to {row.high:z.3f}" if math.isfinite(row.low) else NOTHING


def show_learning_curves(contents: Contents) -> Section:
    """Draws the losses, the main figure of the validations, and the learning rate over the steps."""
    rows = contents.steps
    losses = [name for name in column_names(rows) if name.startswith("train/") and name != "train/lr"]
    losses.sort(key=lambda name: (name != "train/loss", name))
    figures = [f"val/{name}" for name in contents.evidence.figure_names[:2]]
    lines = {
        ("Training loss", "loss"): [read_series(rows, name) for name in losses],
        ("Validation", "figure"): [read_validations(contents.validations, name) for name in figures],
        ("Learning rate", "rate"): [read_series(rows, "train/lr")] if "train/lr" in column_names(rows) else [],
    }
    drawn = {key: [line for line in series if len(line.x)] for key, series in lines.items()}
    last = max((line.x[-1] for series in drawn.values() for line in series), default=0)
    charts = [
        line_chart(title, ("step", label), series, (0, last), (None if label == "loss" else 0, None))
        for (title, label), series in drawn.items()
        if series
    ]
    return Section("Learning curves", [element("div", *charts, class_="charts")] if charts else [])


def column_names(rows: Sequence[Row]) -> list[str]:
    """Returns the names of the columns of ``metrics.csv``."""
    return list(rows[0]) if rows else []


def read_series(rows: Sequence[Row], name: str) -> Series:
    """Returns the values of a column of ``metrics.csv`` over the steps."""
    values = [(int(row["step"]), parse_number(row[name])) for row in rows if row[name]]
    return Series(name.partition("/")[2], [step for step, _ in values], [value for _, value in values])


def parse_number(text: str) -> float:
    """Returns the number of a cell; NaN if it is damaged."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def read_validations(entries: Sequence[dict[str, Any]], name: str) -> Series:
    """Returns a figure of all validations over the steps, from the entries of ``metrics.json``."""
    found = find_validations(entries, name)
    return Series(name.partition("/")[2], [entry["step"] for entry in found], [entry[name] for entry in found])


def find_validations(entries: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Returns the entries of ``metrics.json`` in which a figure is a finite number."""
    return [entry for entry in entries if isinstance(entry.get(name), int | float) and math.isfinite(entry[name])]


def show_examples(contents: Contents, kind: str, title: str, text: str = "") -> Section:
    """Shows the images of a ``kind``, truth beside prediction."""
    found = [example for example in contents.examples if example.kind == kind]
    images = [EmbeddedImage(x.content, f"{x.name}: {x.caption}", f"{x.name}, truth and prediction") for x in found]
    is_pair = contents.evidence.role != "classification"
    note = f"{text} {PAIR_NOTE if is_pair else ''}".strip()
    notes = [paragraph(note)] if note else []
    return Section(title, [*notes, gallery(images, is_wide=is_pair)] if images else [])


def describe_identity(contents: Contents) -> list[Section]:
    """Shows the configuration, and hashes and versions of all that the figures depend on."""
    identity = contents.identity
    values = {"run": str(contents.folder)} | {
        name: str(identity[name])
        for name in ("split", "source", "results", "epoch", "step", "weights", "detections", "images", "annotations")
        if name in identity
    }
    versions = identity.get("versions", {})
    parts = [
        paragraph("Hashes are of the evaluated weights or detections, of the images' names, and of their annotations."),
        definitions(values | {f"{name} version": str(version) for name, version in versions.items()}),
    ]
    if not contents.configuration:
        return [Section("What was evaluated", parts)]
    configuration = preformatted(contents.configuration, "Configuration of the run")
    return [
        Section("Configuration", [details("All options of the run", configuration)]),
        Section("What was evaluated", parts),
    ]


def chart_classes(estimates: Estimates, label: str) -> Html:
    """Draws the main figure of classes with one, the highest first; of many, the highest and the lowest ones."""
    defined = [row for row in estimates.classes if math.isfinite(row.value)]
    ranked = sorted(defined, key=lambda row: -row.value)
    if len(ranked) <= 2 * MAX_ROWS:
        parts = {f"{label} by class": ranked} if ranked else {}
    else:
        highest, lowest = (f"The {MAX_ROWS} classes with the {which} {label}" for which in ("highest", "lowest"))
        parts = {highest: ranked[:MAX_ROWS], lowest: ranked[-MAX_ROWS:]}
    charts = [interval_chart(title, label, rows, (0, 1)) for title, rows in parts.items()]
    return element("div", *charts, class_="charts")


def show_confusion(
    matrix: NDArray[np.int64],
    classes: Sequence[str],
    caption: str,
    more_rows: Sequence[str] = (),
    more_columns: Sequence[str] = (),
) -> Section:
    """Shows a confusion matrix as shares of its rows; of more than 60 classes, those that are confused most often.

    Args:
        matrix: ``[C, C]`` and the rows and columns of ``more_rows`` and ``more_columns``.
        classes: names of the first C rows and columns.
        caption: what rows and columns are.
        more_rows: names of the rows after the classes; these rows are always shown.
        more_columns: names of the columns after the classes; these columns are always shown.
    """
    drawn = select_classes(matrix[: len(classes), : len(classes)])
    names = [classes[int(k)] for k in drawn]
    rows, columns = (np.append(drawn, range(len(classes), size)).astype(int) for size in matrix.shape)
    shares = compute_row_shares(matrix)[np.ix_(rows, columns)]
    texts = [[format_share(share) for share in row] for row in shares.tolist()]
    left_out = len(classes) - len(drawn)
    note = (
        f"{format_count(left_out, 'classes')} that are confused less often, or do not occur, are left out."
        if left_out
        else ""
    )
    content = matrix_table(caption, [*names, *more_rows], [*names, *more_columns], shares, texts)
    return Section("Confusion", [*([paragraph(note)] if note else []), content])
