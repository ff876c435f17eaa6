"""Fixtures of the commands' tests: a detector's run, and `litmobile inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import Inspect, Report, run_fit


@pytest.fixture(scope="session")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's run of one epoch, whose many detections are hardly ever right."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    run_fit(shapes, "--run", str(folder), "--trainer.max_epochs=1")
    return folder


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
