"""Damaged files of every layout are named in one sentence, and never read as something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.data import FolderDetection
from support.data.layouts import LAYOUTS

OneSentence = Callable[..., None]
State = dict[str, tuple[list[str], list[list[float]], list[str]]]

#: lists that are valid when they are shorter
LISTS = ("train.txt", "valid.txt", "val.txt", "class-descriptions-boxable.csv", "classes.csv")


def read_state(root: Path) -> State:
    """Return the names, boxes and classes of each object of both splits."""
    data = FolderDetection(str(root), num_workers=0)
    data.setup("fit")
    return {
        name: (split.names.tolist(), split.boxes.tolist(), [split.classes[label] for label in split.labels])
        for name, split in data.splits.items()
    }


def cut(content: bytes) -> bytes:
    """Remove the second half, and the rest of a word, which might be a number."""
    half = content[: len(content) // 2]
    return half[: half.rfind(b" ") + 1 or len(half)]


def change_encoding(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


def add_bytes(content: bytes) -> bytes:
    return content + b"\xff\xfe\xff"


@pytest.mark.parametrize("damage", [cut, change_encoding, add_bytes])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_damaged_files_are_named_or_have_no_effect(
    layout: str, damage: Callable[[bytes], bytes], tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    LAYOUTS[layout](tmp_path)
    expected = read_state(tmp_path)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.suffix != ".png"]
    for path in (path for path in files if damage is not cut or path.name not in LISTS):
        content = path.read_bytes()
        path.write_bytes(damage(content))
        try:
            state = read_state(tmp_path)
        except DataError as error:
            assert_one_sentence(error, path.name)
        else:
            assert state == expected, f"{path.name} is read differently"
        path.write_bytes(content)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_image_is_named(layout: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    LAYOUTS[layout](tmp_path)
    for path in tmp_path.rglob("c.png"):
        path.unlink()
    with pytest.raises(DataError) as caught:
        read_state(tmp_path)
    assert_one_sentence(caught.value, "c")
