"""A run of a detector that the tests of `litmobile predict` share, and the command on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import fit, refusal
from support.predicting import Rows


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


@pytest.fixture
def refuse(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What the command says when it refuses."""
    return lambda *words: refusal("predict", "--run", str(run), *map(str, words), capsys=capsys)
