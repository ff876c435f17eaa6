"""`litmobile export`, and the use of its files in predict, validate and test."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from litmobile.tasks.network import load
from litmobile.tools.cli import main
from litmobile.tools.evaluations import read_evaluation
from litmobile.tools.export.command import check_loss
from litmobile.tools.export.judgement import compare_with_run, was_evaluated
from litmobile.tools.export.module import ExportModule
from litmobile.tools.export.options import ExportOptions
from litmobile.tools.export.simulated_int8 import SimulatedInt8
from litmobile.tools.sample_data import write_shapes
from support.cli import get_refusal


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's ONNX file, judged on the validation split."""
    path = tmp_path_factory.mktemp("exported") / "shapes.onnx"
    main(["export", "--run", str(run), "--to", str(path)])
    return path


def test_float_file_is_judged_equal(exported: Path, run: Path) -> None:
    judgement = json.loads(exported.with_name("shapes.onnx.json").read_text())["judgement"]
    assert judgement["split"] == "val"
    assert judgement["images"] == 5
    assert judgement["figure"] == "AP"
    assert judgement["exported"] == pytest.approx(judgement["run"], abs=0.02)
    assert judgement["difference"] == pytest.approx(judgement["exported"] - judgement["run"], abs=1e-9)


def test_evaluation_of_a_file_says_what_was_evaluated(exported: Path, run: Path) -> None:
    theirs = read_evaluation(run, "val").identity
    ours = read_evaluation(exported.with_name("shapes.onnx-results"), "val").identity
    assert ours["settings"]["network"]["file"] == "shapes.onnx"
    assert ours["settings"]["network"]["engine"] == "onnxruntime"
    assert ours["weights"] != theirs["weights"]
    assert (ours["epoch"], ours["step"]) == (theirs["epoch"], theirs["step"])
    for key in ("images", "annotations", "source"):
        assert ours[key] == theirs[key]


def test_predict_writes_the_detections_of_the_run(exported: Path, run: Path, shapes: Path, tmp_path: Path) -> None:
    words = [str(shapes / "val"), "--draw=false"]
    main(["predict", "--run", str(run), "--out", str(tmp_path / "run"), *words])
    main(["predict", "--model", str(exported), "--out", str(tmp_path / "file"), *words])
    theirs, ours = (read_rows(tmp_path / name) for name in ("run", "file"))
    assert len(theirs) == len(ours) > 0
    for found in ours:  # detections of equal scores can change places
        alike = [row for row in theirs if row["category_id"] == found["category_id"]]
        nearest = min(alike, key=lambda row: np.abs(np.subtract(row["bbox"], found["bbox"])).max())
        assert found["bbox"] == pytest.approx(nearest["bbox"], abs=0.05)  # the image is larger than the input
        assert found["score"] == pytest.approx(nearest["score"], rel=1e-3)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Reads the detections above a score of 0.05."""
    return [row for row in json.loads((folder / "predictions.json").read_text()) if row["score"] > 0.05]


def test_validate_runs_a_file_with_the_data_of_a_run(exported: Path, run: Path) -> None:
    """The run's folder stays as it was."""
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    main(["validate", "--model", str(exported), "--run", str(run)])
    ours, theirs = (
        json.loads((folder / "val.json").read_text()) for folder in (exported.with_name("shapes.onnx-results"), run)
    )
    assert ours["figures"]["AP"] == pytest.approx(theirs["figures"]["AP"], abs=0.02)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_loss_above_the_tolerance_fails_and_names_layers(run: Path, exported: Path) -> None:
    simulated = SimulatedInt8(ExportModule(load(run)), torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    same = compare_with_run(ExportOptions(run, exported))
    check_loss(same._replace(difference=replace(same.difference, value=-0.01)), ExportOptions(run, exported), simulated)
    worse = same._replace(difference=replace(same.difference, value=-0.0101))
    with pytest.raises(SystemExit) as ended:
        check_loss(worse, ExportOptions(run, exported), simulated)
    message = str(ended.value.code)  # Python prints it and exits with status 1
    assert "loses 0.0101 of AP, more than --tolerance 0.01." in message
    assert re.search(r"changes the outputs most: (backbone|head)\.[\w.]+ \([\d.e+-]+\), ", message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "cells.tfl"], "--to cells.tfl has an unknown suffix; name a file that ends in one of .onnx (ONNX), "),
        (["--to", "cells.pt2", "--int8", "--calibrate", "."], "--int8 does not exist for .pt2; it does for .onnx, "),
        (["--to", "cells.onnx", "--int8"], "--int8 needs --calibrate FOLDER"),
        (["--to", "cells.onnx", "--calibrate", "."], "--calibrate is for --int8"),
        (["--to", "cells.onnx", "--opset=9", "--split=none"], "--opset must be 18 to"),
        (["--to", "cells.onnx", "--tolerance=2"], "--tolerance must be at least 0 and at most 1, not 2"),
        (["--to", "cells.pte", "--opset=20", "--split=none"], "--opset is for .onnx files, not .pte"),
        (["--to", "cells.onnx", "--engine=litert"], "litert does not run .onnx files; choose onnxruntime or openvino"),
        (["--to", "cells.onnx", "--data=none"], "--data none does not exist; pass the root folder of the data"),
        (["--to", f"{__file__}/cells.onnx"], "test_command.py, which is not a folder; name a file in a folder"),
        (["--to", "cells.onnx", "--segmentation=logits"], "--segmentation=logits is for segmentation networks, but "),
        (["--to", "cells.onnx", "--run", "other.onnx", "--split=none"], "other.onnx is an exported file; pass the run"),
        (
            ["--to", "cells.onnx", "--size=320"],
            "--size takes two whole numbers in brackets, such as [320,480], not ",
        ),
        (["--to", "cells.onnx", "--run", "none"], "There is no checkpoint none"),
    ],
)
def test_wrong_options_write_no_file(
    words: list[str],
    message: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in get_refusal("export", "--run", str(run), *words, capsys=capsys)
    assert not list(tmp_path.iterdir())


def test_missing_data_are_named_after_the_file_is_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("export", "--run", str(run), "--to", str(tmp_path / "shapes.pt2"), f"--data={tmp_path}")
    assert "shapes.pt2 was written, but cannot be compared with the run: " in get_refusal(*words, capsys=capsys)


def test_engine_is_for_exported_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("validate",), ("predict", str(tmp_path))):
        refusal = get_refusal(*words, "--run", str(run), "--engine=openvino", capsys=capsys)
        assert "--engine=openvino is for --model FILE" in refusal


def test_run_that_is_an_exported_file_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = get_refusal("predict", "--run", str(tmp_path / "cells.onnx"), str(tmp_path), "--out=out", capsys=capsys)
    assert "cells.onnx is an exported file; pass it as --model" in refusal


def test_predict_needs_a_run_or_a_file(
    exported: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("--run", str(run), "--model", str(exported))
    for given in ((), both):
        refusal = get_refusal("predict", *given, str(tmp_path), capsys=capsys)
        assert "needs one of --run FOLDER and --model FILE" in refusal


def test_other_classes_are_refused(
    exported: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shapes(tmp_path / "other", train=2, val=2)
    for file in (tmp_path / "other").rglob("*.json"):
        file.write_text(file.read_text().replace('"disk"', '"coin"'))
    words = ("validate", "--model", str(exported), "--run", str(run), f"--data.root={tmp_path / 'other'}")
    assert "The exported network has the classes" in get_refusal(*words, capsys=capsys)


def test_partial_evaluation_of_the_run_does_not_count(run: Path, exported: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    main(["validate", "--run", str(copied), "--trainer.limit_val_batches=1", "--data.batch_size=2"])
    assert len(read_evaluation(copied, "val").evidence.names) == 2
    options = ExportOptions(copied, exported)
    assert was_evaluated(ExportOptions(run, exported), read_evaluation(run, "val").identity["weights"])
    assert not was_evaluated(options, read_evaluation(copied, "val").identity["weights"])


def test_validate_of_a_file_needs_data(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = get_refusal("validate", "--model", str(exported), capsys=capsys)
    assert "needs --run FOLDER or --config NAME, which say what data to evaluate" in refusal


@pytest.mark.parametrize("command", ["predict", "validate"])
def test_home_is_expanded_in_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Shells leave it in an option with an equals sign."""
    further = {"predict": ".", "validate": "--run=~/none"}
    refusal = get_refusal(command, "--model=~/no such file.onnx", further[command], capsys=capsys)
    assert f"{Path.home()}/no such file.onnx does not exist" in refusal
