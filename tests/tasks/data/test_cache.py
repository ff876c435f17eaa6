"""Arrays in files: pickled by path as long as they are the whole file, and by content otherwise."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.data.cache import MappedArray, load_array


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of a million numbers."""
    np.save(tmp_path / "numbers.npy", np.arange(1_000_000))
    return tmp_path / "numbers.npy"


def test_a_whole_array_is_pickled_by_its_path(file: Path) -> None:
    array = load_array(file)
    data = pickle.dumps(array)
    assert len(data) < 1000
    again = pickle.loads(data)
    assert isinstance(again, MappedArray) and again.path == file
    assert np.array_equal(again, array)


@pytest.mark.parametrize(
    "derive",
    [
        lambda a: a[3:7],
        lambda a: a[::-1],
        lambda a: a[[5, 2]],
        lambda a: a.reshape(1000, 1000),
        lambda a: a + 1,
        lambda a: a.astype(np.int32),
        lambda a: a.copy(),
    ],
    ids=["slice", "reversed", "rows", "reshaped", "sum", "other type", "copy"],
)
def test_what_is_derived_is_pickled_by_its_content(file: Path, derive: Callable[[Any], Any]) -> None:
    derived = derive(load_array(file))
    file_of_other_numbers = file.read_bytes()[:-8_000_000] + bytes(8_000_000)
    data = pickle.dumps(derived)
    expected = np.array(derived)
    file.unlink()
    file.write_bytes(file_of_other_numbers)
    assert np.array_equal(pickle.loads(data), expected)


def test_an_array_cannot_be_changed(file: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_array(file)[0] = 7


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY"], ids=["empty", "text", "cut"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises((ValueError, OSError)):
        load_array(tmp_path / "a.npy")
