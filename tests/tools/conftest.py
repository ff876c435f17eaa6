"""Fixtures for the tests of commands: a detector's run, and `litmobile inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import Inspect, Report, run_fit


@pytest.fixture(scope="session")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's run of one epoch, with many mostly wrong detections."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run_fit(shapes, "--run", str(folder), "--trainer.max_epochs=1")
    return folder


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    """A function that runs the command, checks its exit message and returns its text and its JSON."""

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
