"""`litmobile export`, and the use of its files in predict, validate and test."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from litmobile.tasks.network import load
from litmobile.tools.cli import main
from litmobile.tools.engines.description import json_path
from litmobile.tools.engines.network import results_folder
from litmobile.tools.evaluations import read_evaluation
from litmobile.tools.export.command import check_loss, export_int8
from litmobile.tools.export.formats import FORMATS, Format
from litmobile.tools.export.judgement import Judgement, compare_with_run, was_evaluated
from litmobile.tools.export.module import ExportModule
from litmobile.tools.export.options import ExportOptions
from litmobile.tools.export.quantization import Int8
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
            ["--to", "cells.onnx", "--size=big"],
            "--size takes one number or height and width in pixels, such as 320 ",
        ),
        (["--to", "cells.onnx", "--run", "none"], "none does not exist; pass the folder of a run"),
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


@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (("cells.onnx",), "onnxscript", "onnx"),
        (("cells.onnx", "--int8", "--calibrate=none"), "onnxruntime", "onnx"),
        (("cells.onnx", "--engine=openvino"), "openvino", "openvino"),
        (("cells.pte",), "executorch", "executorch"),
        (("cells.pte", "--int8", "--calibrate=none"), "torchao", "executorch"),
        (("cells.tflite",), "litert_torch", None),
        (("cells.mlpackage",), "coremltools", "coreml"),
    ],
)
def test_missing_package_is_named_first(
    words: tuple[str, ...],
    package: str,
    extra: str | None,
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for installed in (*FORMATS[Path(words[0]).suffix].packages, *FORMATS[Path(words[0]).suffix].int8_packages):
        monkeypatch.setitem(sys.modules, installed, SimpleNamespace(__spec__=True))  # pyright: ignore[reportArgumentType]
    monkeypatch.setitem(sys.modules, package, None)  # pyright: ignore[reportArgumentType]
    refusal = get_refusal("export", "--run", str(run), "--to", *words, capsys=capsys)
    advice = f"install it with pip install 'litmobile[{extra}]'" if extra else "make an environment for it"
    assert f"{package} is not installed; {advice}" in refusal


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write to")
def test_folder_that_refuses_files_is_one_sentence(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = get_refusal("export", "--run", str(run), "--to", "/proc/none/cells.pt2", "--split=none", capsys=capsys)
    assert "--to /proc/none/cells.pt2 cannot be written: " in refusal


@pytest.mark.parametrize("gain", [0.01, -0.01])
def test_float_ends_are_kept_only_if_they_help(
    gain: float, exported: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and judgements are given; what is kept of them is tested."""
    first = compare_with_run(ExportOptions(run, exported))
    first = first._replace(difference=replace(first.difference, value=-0.02))
    judgements = iter([first, first._replace(exported=first.exported + gain)])

    def write(kind: Format, module: None, description: None, options: ExportOptions, int8: Int8) -> None:
        for path in (options.to, json_path(options.to)):
            path.write_text(f"float ends: {int8.float_ends}")

    def judge_file(kind: Format, options: ExportOptions, description: None) -> Judgement:
        results_folder(options.to).mkdir()
        return next(judgements)

    monkeypatch.setattr("litmobile.tools.export.command.write", write)
    monkeypatch.setattr("litmobile.tools.export.command.judge_file", judge_file)
    options = ExportOptions(run, tmp_path / "cells.onnx")
    int8 = Int8(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), per_channel=True, float_ends=False)
    nothing: Any = None
    kept = export_int8(FORMATS[".onnx"], nothing, nothing, options, int8)
    assert kept is not None
    assert kept.exported == first.exported + max(gain, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.onnx", "cells.onnx-results", "cells.onnx.json"]
    for path in (options.to, json_path(options.to)):
        assert path.read_text() == f"float ends: {gain > 0}"


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
