"""Parsed annotations: stored once, mapped by later starts, and parsed again when anything changed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.data.cache import CACHE_VARIABLE, MappedArray
from litmobile.tasks.detection.formats import coco
from litmobile.tasks.detection.formats.coco import read_coco
from litmobile.tasks.detection.split import DetectionSplit

Content = dict[str, Any]
WriteCoco = Callable[..., tuple[Path, Path]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that small files use as well."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(coco, "MIN_CACHED_BYTES", 1)
    return tmp_path / "cache" / "annotations"


def assert_equal(split: DetectionSplit, other: DetectionSplit) -> None:
    """Assert that all facts of two splits are equal."""
    for a, b in ((split, other), (split.ground_truth, other.ground_truth)):
        for field in fields(a):
            if field.name != "ground_truth":
                assert np.array_equal(getattr(a, field.name), getattr(b, field.name)), field.name


def count_parsing(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list to which every parsed file is added."""
    parsed: list[Path] = []
    parse = coco.parse_json
    monkeypatch.setattr(coco, "parse_json", lambda data, file: (parsed.append(file), parse(data, file))[1])
    return parsed


def test_a_file_is_parsed_once(content: Content, write_coco: WriteCoco, monkeypatch: pytest.MonkeyPatch) -> None:
    file, folder = write_coco(content)
    parsed = count_parsing(monkeypatch)
    first, second = read_coco(file, folder), read_coco(file, folder)
    assert parsed == [file]
    monkeypatch.setattr(coco, "MIN_CACHED_BYTES", 10**9)
    assert_equal(first, read_coco(file, folder))
    assert_equal(second, first)


def test_a_mapped_split_is_pickled_by_path(content: Content, write_coco: WriteCoco) -> None:
    content["annotations"] *= 500
    file, folder = write_coco(content)
    split = read_coco(file, folder)
    assert isinstance(split.boxes, MappedArray)
    data = pickle.dumps(split)
    assert len(data) < 10_000
    assert_equal(pickle.loads(data), split)
    rows = pickle.loads(pickle.dumps(split.take(np.array([2, 0]))))
    assert rows.names.tolist() == ["inner/c.png", "a.png"]


CHANGES: dict[str, Callable[[Path, Path, Path], Any]] = {
    "another file": lambda file, folder, cache: file.write_bytes(file.read_bytes() + b"\n"),
    "a missing array": lambda file, folder, cache: next(cache.glob("*/boxes.npy")).unlink(),
    "a cut array": lambda file, folder, cache: next(cache.glob("*/labels.npy")).write_bytes(b"\x93NUMPY"),
    "no facts": lambda file, folder, cache: next(cache.glob("*/facts.json")).write_text("{"),
    "facts of another version": lambda file, folder, cache: next(cache.glob("*/facts.json")).write_text("{}"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed(
    content: Content,
    write_coco: WriteCoco,
    cache: Path,
    change: Callable[[Path, Path, Path], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, folder = write_coco(content)
    with monkeypatch.context() as uncached:
        uncached.setattr(coco, "MIN_CACHED_BYTES", 10**9)
        expected = read_coco(file, folder)
    read_coco(file, folder)
    parsed = count_parsing(monkeypatch)
    change(file, folder, cache)
    assert_equal(read_coco(file, folder), expected)
    assert parsed == [file]


def test_a_removed_image_is_noticed(content: Content, write_coco: WriteCoco) -> None:
    file, folder = write_coco(content)
    read_coco(file, folder)
    (folder / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png"):
        read_coco(file, folder)


def test_moved_images_need_no_parsing(
    content: Content, write_coco: WriteCoco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, folder = write_coco(content)
    expected = read_coco(file, folder)
    parsed = count_parsing(monkeypatch)
    moved = folder.rename(tmp_path / "moved")
    split = read_coco(file, moved)
    assert split.path(0) == moved / "a.png" and not parsed
    assert split.boxes.tolist() == expected.boxes.tolist()


def test_sizes_of_images_are_not_stored(content: Content, write_coco: WriteCoco, cache: Path) -> None:
    for image in content["images"]:
        image.pop("height")
    read_coco(*write_coco(content))
    assert not cache.exists()


def test_without_a_cache_nothing_is_stored(
    content: Content, write_coco: WriteCoco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    file, folder = write_coco(content)
    assert len(read_coco(file, folder)) == 3
    assert json.loads(file.read_text()) == content
