"""Commands that several files of tests give: `litmobile predict` on a detector's run, and `litmobile inspect`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import Inspect, Report, fit, refusal
from support.predicting import Rows
from support.segmenting import CLASSES, Segment, saved


@pytest.fixture(scope="session")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's run of one epoch: it finds much, and hardly anything right."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    fit(shapes, "--run", str(folder), "--trainer.max_epochs=1")
    return folder


@pytest.fixture
def predict(run: Path, tmp_path: Path) -> Callable[..., Rows]:
    """Predicts into ``tmp_path / "out"`` and gives what the file of results holds."""

    def predict(*words: object) -> Rows:
        main(["predict", "--run", str(run), "--out", str(tmp_path / "out"), *map(str, words)])
        return json.loads((tmp_path / "out" / "predictions.json").read_text())

    return predict


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(CLASSES, tmp_path_factory.mktemp("runs") / "segmenter.ckpt")


@pytest.fixture
def segment(segmenter: Path, tmp_path: Path) -> Segment:
    """Predicts into ``tmp_path / "out"`` and gives that folder."""

    def segment(*words: object, run: Path = segmenter) -> Path:
        main(["predict", "--run", str(run), "--out", str(tmp_path / "out"), *map(str, words)])
        return tmp_path / "out"

    return segment


@pytest.fixture
def refuse(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command says when it refuses."""
    return lambda *words: refusal("predict", "--run", str(run), *map(str, words), capsys=capsys)


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    """Printed text and JSON of the command, which exits with 1 and the reason if training would stop."""

    def inspect(*words: object) -> tuple[str, Report]:
        capsys.readouterr()
        message = ""
        try:
            main(["inspect", *map(str, words), "--json", str(tmp_path / "report" / "data.json")])
        except SystemExit as ended:
            message = str(ended.code)
            if "Training would stop" not in message:
                raise
        text, report = capsys.readouterr().out, json.loads((tmp_path / "report" / "data.json").read_text())
        assert bool(message) == bool(report["blocking_issues"])
        assert all(f"Training would stop: {issue}" in text for issue in report["blocking_issues"])
        assert all(issue in message for issue in report["blocking_issues"][:1])
        return text, report

    return inspect
