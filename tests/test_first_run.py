"""The README's first training reaches its AP. It takes minutes and needs `-m slow`."""

from __future__ import annotations

from pathlib import Path

import pytest

from litmobile.tools.cli import main
from support.training import read_average_precision

pytestmark = pytest.mark.slow


def test_first_run_of_the_readme_reaches_its_ap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    main(["sample-data"])
    main(["fit", "--config", "detection/ssdlite_shapes", "--run", "run", "--trainer.accelerator=cpu"])
    assert read_average_precision(tmp_path / "run") >= 0.45
