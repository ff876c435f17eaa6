"""Fixtures that run `litmobile predict` with a detector or a segmentation network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.cli import get_refusal
from support.predicting import CLASSES, Rows, Segment, save_segmenter


@pytest.fixture
def predict(run: Path, tmp_path: Path) -> Callable[..., Rows]:
    """Predict into ``tmp_path / "out"`` and return the rows of the result file."""

    def predict(*words: object) -> Rows:
        main(["predict", "--run", str(run), "--out", str(tmp_path / "out"), *map(str, words)])
        return json.loads((tmp_path / "out" / "predictions.json").read_text())

    return predict


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_segmenter(CLASSES, tmp_path_factory.mktemp("runs") / "segmenter.ckpt")


@pytest.fixture
def segment(segmenter: Path, tmp_path: Path) -> Segment:
    """Predict into ``tmp_path / "out"`` and return that folder."""

    def segment(*words: object, run: Path = segmenter) -> Path:
        main(["predict", "--run", str(run), "--out", str(tmp_path / "out"), *map(str, words)])
        return tmp_path / "out"

    return segment


@pytest.fixture
def refuse(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return the message of a command that fails."""
    return lambda *words: get_refusal("predict", "--run", str(run), *map(str, words), capsys=capsys)
