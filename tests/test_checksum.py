"""A checkpoint with a changed byte or a missing part is refused; files without a checksum are read as before."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import litmobile
from litmobile.backbones.weights import read_checkpoint
from litmobile.checksum import find_damage
from litmobile.errors import WeightsError
from litmobile.tasks.pretrained import AtomicCheckpointIO

OneSentence = Callable[..., None]

TENSORS = {"a": torch.arange(3000.0), "b": torch.arange(20.0)}
CONTENT = {"network": {}, "state_dict": {}, "epoch": 0, "global_step": 7, **TENSORS}
READERS: dict[str, Callable[[Path], Any]] = {
    "fit, validate and test": AtomicCheckpointIO().load_checkpoint,
    "predict and load": litmobile.load,
    "pretrained weights": read_checkpoint,
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint of 14 kB with a checksum."""
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    return path


def flip_byte(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x10
    path.write_bytes(content)


def test_intact_checkpoint_is_read_by_any_program(checkpoint: Path) -> None:
    for content in (read_checkpoint(checkpoint), torch.load(checkpoint), torch.load(checkpoint, mmap=True)):
        assert isinstance(content, dict)
        assert content["global_step"] == 7 and torch.equal(content["a"], CONTENT["a"])
    assert zipfile.ZipFile(checkpoint).testzip() is None


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("place", [0.0, 0.02, 0.1, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0])
def test_flipped_byte_is_refused(
    place: float, read: Callable[[Path], Any], checkpoint: Path, assert_one_sentence: OneSentence
) -> None:
    flip_byte(checkpoint, round(place * (checkpoint.stat().st_size - 1)))
    with pytest.raises(WeightsError) as caught:
        read(checkpoint)
    assert_one_sentence(caught.value, checkpoint, "is damaged", "replace it by an intact copy")


def test_every_flipped_byte_is_found(checkpoint: Path) -> None:
    size = checkpoint.stat().st_size
    for offset in [*range(0, size, 53), *range(size - 200, size)]:
        flip_byte(checkpoint, offset)
        assert find_damage(checkpoint), offset
        flip_byte(checkpoint, offset)
    assert find_damage(checkpoint) is None


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("size", [0, 1, 100, 5000, -60, -20, -1])
def test_truncated_checkpoint_is_refused(
    size: int, read: Callable[[Path], Any], checkpoint: Path, assert_one_sentence: OneSentence
) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:size])
    with pytest.raises(WeightsError) as caught:
        read(checkpoint)
    assert_one_sentence(caught.value, checkpoint)


def test_refusal_names_an_intact_checkpoint(checkpoint: Path, assert_one_sentence: OneSentence) -> None:
    other, damaged = (checkpoint.with_name(name) for name in ("best.ckpt", "a.ckpt"))
    AtomicCheckpointIO().save_checkpoint(CONTENT, other)
    damaged.touch()
    checkpoint.with_name("all.ckpt").mkdir()
    flip_byte(checkpoint, 3000)
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(checkpoint)
    assert_one_sentence(caught.value, checkpoint, f"use {other} instead")


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_without_a_checksum_are_read(is_zip: bool, tmp_path: Path) -> None:
    torch.save(CONTENT, tmp_path / "theirs.pth", _use_new_zipfile_serialization=is_zip)
    content = read_checkpoint(tmp_path / "theirs.pth")
    assert isinstance(content, dict) and torch.equal(content["a"], CONTENT["a"])
