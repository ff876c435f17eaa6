"""A run that continues or is evaluated on changed data says which split changed, and how."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from litmobile.tasks.data.fingerprint import describe_changes, take_fingerprint
from litmobile.tasks.detection import DetectionSplit
from litmobile.tasks.detection.formats.coco import read_coco
from litmobile.tools.cli import main
from support.cli import run_fit


@pytest.fixture(scope="module")
def split(shapes: Path) -> DetectionSplit:
    return read_coco(shapes / "annotations" / "instances_train.json", shapes / "train")


CHANGES: dict[str, Callable[[DetectionSplit], DetectionSplit]] = {
    "9 images instead of 10, other annotations": lambda split: split.take(np.arange(9)),
    "other image files or another order, other annotations": lambda split: split.take(np.arange(10)[::-1]),
    "other annotations": lambda split: replace(split, boxes=split.boxes + 1),
    "the classes a, b instead of disk, ring, square, triangle, star, …": lambda split: replace(
        split, classes=("a", "b")
    ),
    "": lambda split: replace(split, folder=split.folder / "moved", notes=("a note",)),
}


@pytest.mark.parametrize("expected", CHANGES)
def test_changes_are_described(expected: str, split: DetectionSplit) -> None:
    changed = CHANGES[expected](split)
    assert describe_changes(take_fingerprint(split), take_fingerprint(changed)) == expected


def test_evaluation_truth_is_part_of_the_fingerprint(split: DetectionSplit) -> None:
    """A crowd is not in the arrays that training uses."""
    crowds = replace(split.ground_truth, is_crowd=~split.ground_truth.is_crowd)
    assert take_fingerprint(split) != take_fingerprint(replace(split, ground_truth=crowds))


def test_changed_data_is_named_and_does_not_stop_a_run(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(shapes, tmp_path / "data")
    run = tmp_path / "run"
    run_fit(tmp_path / "data", f"--run={run}", "--trainer.max_epochs=1")
    file = tmp_path / "data" / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    content["annotations"] = content["annotations"][1:]
    file.write_text(json.dumps(content))
    for command in (["validate", "--run", str(run)], ["fit", "--run", str(run), "--trainer.max_epochs=2"]):
        caplog.clear()
        main(command)
        lines = [message for message in caplog.messages if "has changed since" in message]
        assert lines == ["The val split has changed since the checkpoint was written: other annotations."]
