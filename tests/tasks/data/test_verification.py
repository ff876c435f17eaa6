"""Facts about images: what they hold, when they are measured again, and what a cache that fails costs."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from litmobile.tasks.data import measurement, verification
from litmobile.tasks.data.cache import CACHE_VARIABLE
from litmobile.tasks.data.verification import ImageFacts, difference_hash, verify_images

NAMES = ("a.png", "inner/ü b.jpg", "c.webp")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for each test."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of 20×30 pixels in three formats."""
    for seed, name in enumerate(NAMES):
        write_noise(tmp_path / "set" / name, seed)
    return tmp_path / "set"


def write_noise(path: Path, seed: int = 0, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = np.random.default_rng(seed).integers(256, size=(4, 6, 3), dtype=np.uint8)
    PIL.Image.fromarray(cells.repeat(5, axis=0).repeat(5, axis=1)).save(path, **options)
    return path


def verify(folder: Path, *names: str) -> ImageFacts:
    return verify_images(folder, np.array(names or NAMES, dtype=np.str_))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded so far."""
    names: list[str] = []

    def measure(path: Path) -> tuple[int, int, int, int]:
        names.append(path.name)
        return original(path)

    original = verification.measure_image
    monkeypatch.setattr(verification, "measure_image", measure)
    return names


def test_every_file_is_decoded_once(folder: Path, decoded: list[str]) -> None:
    first, second = verify(folder), verify(folder)
    assert sorted(decoded) == sorted(Path(name).name for name in NAMES)
    assert first.sizes.tolist() == [[20, 30]] * 3 and not first.errors
    assert all(np.array_equal(one, other) for one, other in zip(first[:3], second[:3], strict=True))


def test_a_part_of_a_folder_keeps_the_facts_of_the_rest(folder: Path, decoded: list[str]) -> None:
    verify(folder, NAMES[0])
    verify(folder, *NAMES[1:])
    verify(folder)
    assert len(decoded) == 3


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_decoded_again(folder: Path, decoded: list[str], change: str) -> None:
    verify(folder)
    file = folder / "a.png"
    if change == "time":
        os.utime(file, ns=(0, 1))
    else:
        stat = file.stat()
        file.write_bytes(file.read_bytes()[:50])
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert list(verify(folder).errors) == ([] if change == "time" else [0])
    assert decoded[3:] == ["a.png"]


def test_simultaneous_calls_share_the_work(folder: Path, decoded: list[str]) -> None:
    with ThreadPoolExecutor(4) as threads:
        facts = list(threads.map(lambda _: verify(folder), range(4)))
    assert len(decoded) == 3 and all(found.sizes.tolist() == [[20, 30]] * 3 for found in facts)


def test_errors_name_the_file_until_it_is_repaired(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"<html>404</html>")
    for _ in range(2):
        facts = verify(folder, *NAMES, "gone.png")
        assert list(facts.errors) == [0, 3] and facts.sizes.all(axis=1).tolist() == [False, True, True, False]
        assert str(folder / "a.png") in facts.errors[0] and "gone.png does not exist" in facts.errors[3]
    write_noise(folder / "a.png")
    assert not verify(folder).errors


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn", None])
def test_a_damaged_cache_is_replaced(folder: Path, cache: Path, decoded: list[str], content: bytes | None) -> None:
    verify(folder)
    (file,) = cache.glob("*.npz")
    if content is None:
        np.savez(file, names=np.zeros(3, np.uint8), stats=np.zeros((1, 2), np.int64), rows=np.zeros(1))
    else:
        file.write_bytes(content)
    verify(folder)
    verify(folder)
    assert len(decoded) == 6


def test_a_cache_that_cannot_be_written_costs_only_time(folder: Path, cache: Path, decoded: list[str]) -> None:
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("a file where the folder should be")
    assert not verify(folder).errors and not verify(folder).errors
    assert len(decoded) == 6


def test_an_interrupt_keeps_what_was_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(path: Path) -> tuple[int, int, int, int]:
        if path.name == "c.webp":
            raise KeyboardInterrupt
        return 1, 1, 1, 1

    monkeypatch.setattr(measurement, "CHUNK", 1)
    monkeypatch.setattr(verification, "measure_image", measure)
    with pytest.raises(KeyboardInterrupt):
        verify(folder)
    monkeypatch.undo()
    monkeypatch.setenv(CACHE_VARIABLE, str(folder.parent / "cache"))
    assert verify(folder).sizes.tolist() == [[1, 1], [1, 1], [20, 30]]


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_sizes_are_those_of_the_turned_image(folder: Path, orientation: int, suffix: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    write_noise(folder / f"turned.{suffix}", exif=exif)
    facts = verify(folder, f"turned.{suffix}")
    assert facts.orientations.tolist() == [orientation]
    assert facts.sizes.tolist() == [[30, 20] if orientation == 6 else [20, 30]]
    assert facts.stored_sizes.tolist() == [[20, 30]]
    sizes = np.array([[20, 30]])
    assert facts.fits(sizes).all() and facts.fits(sizes[:, ::-1]).all() == (orientation == 6)
    assert facts.is_ambiguous(sizes).all() == (orientation == 3)


def test_the_hash_survives_resizing_and_compression(folder: Path) -> None:
    image = np.asarray(PIL.Image.open(write_noise(folder / "x.png", 5)).convert("RGB").resize((640, 480)))
    PIL.Image.fromarray(image).resize((200, 150)).save(folder / "smaller.jpg", quality=50)
    smaller = np.asarray(PIL.Image.open(folder / "smaller.jpg"))
    other = np.ascontiguousarray(image[::-1])
    assert (difference_hash(image) ^ difference_hash(smaller)).bit_count() <= 4
    assert (difference_hash(image) ^ difference_hash(other)).bit_count() > 10
    assert difference_hash(np.full((9, 9, 3), 77, dtype=np.uint8)) == 0


def test_verification_imports_no_lightning() -> None:
    program = "import sys, litmobile.tasks.data.verification; print('lightning' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"
