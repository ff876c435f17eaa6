"""Data that tests share: generated shapes, and the real data next to the checkout if it is available."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from litmobile.tasks.data.cache import CACHE_VARIABLE
from litmobile.tools.sample_data import write_shapes
from support.families import perturb

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Limit the commands that tests start to one thread, so that they do not compete for cores, and use a new cache."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = tempfile.TemporaryDirectory(prefix="litmobile-cache-")
    os.environ[CACHE_VARIABLE] = cache.name
    config.add_cleanup(cache.cleanup)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread, which is faster for tiny inputs, and a fixed seed for equal weights in every run."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def assert_one_sentence() -> Callable[..., None]:
    """A function that checks that an error message is one sentence and contains each of ``mentioned``."""

    def check(error: BaseException, *mentioned: object) -> None:
        text = str(error)
        assert text.endswith("."), text
        assert "\n" not in text, text
        assert ". " not in text, text
        for words in mentioned:
            for word in words if isinstance(words, list | tuple) else [words]:
                assert str(word) in text, f"{word!r} is not in {text!r}"

    return check


@pytest.fixture(scope="session")
def as_if_trained() -> Callable[[nn.Module], nn.Module]:
    """Returns :func:`support.families.perturb`."""
    return perturb


@pytest.fixture(scope="session")
def deviation() -> Callable[[Tensor, Tensor], float]:
    """Returns the largest difference between two tensors, relative to the largest value of the second."""

    def measure(found: Tensor, expected: Tensor) -> float:
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        found, expected = found.detach(), expected.detach()
        return float((found - expected).abs().max() / expected.abs().max().clamp_min(torch.finfo(found.dtype).tiny))

    return measure


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny detection data set with splits "train" and "val"."""
    root = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(root, train=10, val=5)
    return root


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of small real data sets."""
    return find_shared("data")


@pytest.fixture(scope="session")
def reported() -> Path:
    """The folder of small inputs that users reported."""
    return find_shared("cases")


def find_shared(name: str) -> Path:
    """Return a folder next to this checkout; the test is skipped without it."""
    if not (SHARED / name).is_dir():
        pytest.skip(f"shared/{name} is not next to this checkout")
    return SHARED / name
