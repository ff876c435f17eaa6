"""Table of what the commands need to know about each kind of task; a new task adds one entry."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple


class TaskTools(NamedTuple):
    """Import paths inside `litmobile.tools`, so that a command imports only what it uses.

    Attributes:
        inspector: function ``(data, task, size, read_images) → Inspection`` for `litmobile inspect`.
        result_writer: class that writes the predictions of `litmobile predict`.
        report: function ``(contents, estimates) → sections`` for `litmobile report`.
    """

    inspector: str
    result_writer: str
    report: str


#: by ``Task.role`` and ``DataModule.role``
TASK_TOOLS = {
    "detection": TaskTools(
        "inspect.detection.inspect_detection",
        "predict.results.DetectionWriter",
        "report.detection.describe_detection",
    ),
    "classification": TaskTools(
        "inspect.classification.inspect_classification",
        "predict.results.ClassificationWriter",
        "report.classification.describe_classification",
    ),
    "segmentation": TaskTools(
        "inspect.segmentation.inspect_segmentation",
        "predict.results.SegmentationWriter",
        "report.segmentation.describe_segmentation",
    ),
}


def import_tool(path: str) -> Any:
    """Imports the function or class at ``path``, relative to this package."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f".{module}", __package__), name)
