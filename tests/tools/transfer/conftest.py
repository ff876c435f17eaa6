"""The data of tiny studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.studies import write_tones


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of two classes, and weights of a backbone."""
    root = tmp_path_factory.mktemp("data") / "tones"
    write_tones(root)
    return root
