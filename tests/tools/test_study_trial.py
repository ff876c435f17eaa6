"""The trial of a study runs all its cells, and refuses cells that had not one GPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litmobile.tools.benchmark.prepared.study_trial import Trial, make_plan, run, summarise
from litmobile.tools.transfer import command
from support.studies import DirectLauncher, read_records

TINY = Trial(images=8, epochs=1, size=64, seeds=1, backbones=("ShuffleNetV2 ×.5",))


@pytest.mark.slow
def test_a_tiny_trial_finishes_both_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "make_launcher", lambda options, study: DirectLauncher(study))
    run(tmp_path, TINY)
    records = read_records(tmp_path / "study").values()
    assert {record["cell"]["task"] for record in records} == {"scenes", "objects"}
    assert all(record["gpus"] == [] for record in records)
    assert "2 cells, on CPU cores, took " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("gpus", "refusal"),
    [
        ([["A"], ["A"]], None),
        ([["A"], ["A", "A"]], "1 cell did not have one GPU, such as 1: \\['A', 'A'\\]"),
        ([[], []], "2 cells did not have one GPU"),
        ([["A"]], "1 of 2 cells are finished"),
    ],
    ids=["one", "two", "none", "unfinished"],
)
def test_each_cell_has_one_gpu(gpus: list[list[str]], refusal: str | None, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(json.dumps(make_plan(tmp_path, TINY)))
    for number, names in enumerate(gpus):
        write_record(tmp_path / "study" / "cells" / str(number), {"gpus": names})
    if refusal is None:
        assert "2 cells, each on one of 2 GPUs, took 60 s; the cells took 10 s" in summarise(
            tmp_path / "study", plan, 2, 60.0
        )
    else:
        with pytest.raises(SystemExit, match=refusal):
            summarise(tmp_path / "study", plan, 2, 60.0)


def write_record(folder: Path, values: dict[str, Any]) -> None:
    """Write the record of a finished cell."""
    folder.mkdir(parents=True)
    record = {"version": 1, "hash": folder.name, "seconds": 5.0, **values}
    (folder / "cell.json").write_text(json.dumps(record))
