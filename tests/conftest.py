"""Data that tests share: generated shapes, and the real data beside the checkout where it is at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from litmobile.tools.sample_data import write_shapes

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(autouse=True, scope="session")
def _two_threads() -> None:
    torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny detection data set with splits "train" and "val"."""
    root = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(root, train=10, val=5)
    return root


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of small real data sets."""
    if not SHARED.is_dir():
        pytest.skip("the small real data sets are not beside this checkout")
    return SHARED
