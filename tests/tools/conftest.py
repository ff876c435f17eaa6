"""Fixtures of the commands' tests: a detector's run, and `litmobile inspect`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import Inspect, Report, fit


@pytest.fixture(scope="session")
def run(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's run of one epoch, whose many detections are hardly ever right."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    fit(shapes, "--run", str(folder), "--trainer.max_epochs=1")
    return folder


@pytest.fixture
def inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Inspect:
    """What the command prints, and what it writes as JSON; it ends with 1 where a training would stop, and says why."""

    def inspect(*words: object) -> tuple[str, Report]:
        capsys.readouterr()
        said = ""
        try:
            main(["inspect", *map(str, words), "--json", str(tmp_path / "report" / "data.json")])
        except SystemExit as ended:
            said = str(ended.code)
            if "A training would stop" not in said:
                raise
        text, report = capsys.readouterr().out, json.loads((tmp_path / "report" / "data.json").read_text())
        assert bool(said) == bool(report["stops"])
        assert all(f"A training would stop: {reason}" in text for reason in report["stops"])
        assert all(reason in said for reason in report["stops"][:1])
        return text, report

    return inspect
