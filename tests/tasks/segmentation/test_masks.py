"""Mask files of every kind are read correctly, or refused with file, value and remedy."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from litmobile.errors import DataError
from litmobile.tasks.segmentation.masks import MAX_CLASSES, ColourMaskReader, MaskReader, ValueMaskReader
from support.data.segmentation import write_mask

OneSentence = Callable[..., None]
VALUES = np.array([[0, 1, 2, 255], [2, 2, 1, 0]])
READ = ValueMaskReader(range(3))
COLOURS = [[0, 0, 0], [128, 64, 128], [255, 255, 255]]
PAINTED = np.array(COLOURS, np.uint8)[[[0, 1, 2, 2], [2, 2, 1, 0]]]
PAINTED_LABELS = [[0, 1, 2, 2], [2, 2, 1, 0]]


def read_error(reader: MaskReader, file: Path) -> DataError:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no file stays open
        with pytest.raises(DataError) as caught:
            reader(file)
    return caught.value


# values of one channel


@pytest.mark.parametrize("name", ["mask.png", "mask.PNG", "mask.tif", "mask.bmp", "mask.pgm", "mit Leer grün.png"])
def test_grey_masks_are_read_unchanged(tmp_path: Path, name: str) -> None:
    labels = READ(write_mask(tmp_path / name, VALUES))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, VALUES)


@pytest.mark.parametrize("name", ["mask.png", "mask.gif", "mask.tif", "mask.bmp"])
def test_palette_colours_are_not_used(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    write_mask(file, VALUES, "P")
    with PIL.Image.open(file) as image:
        assert image.mode == "P", "the file has a palette"
    if name != "mask.gif":  # may be stored with another palette
        assert np.array_equal(READ(file), VALUES)


@pytest.mark.parametrize("colours", [2, 4, 16])
def test_small_palettes_are_not_used(tmp_path: Path, colours: int) -> None:
    values = np.arange(24).reshape(4, 6) % colours
    image = PIL.Image.frombytes("P", (6, 4), values.astype(np.uint8).tobytes())
    image.putpalette([9, 9, 9] * colours)
    image.save(tmp_path / "mask.png", bits={2: 1, 4: 2, 16: 4}[colours])
    assert np.array_equal(ValueMaskReader(range(16))(tmp_path / "mask.png"), values)


@pytest.mark.parametrize("name", ["mask.png", "mask.pbm", "mask.tif"])
def test_masks_of_one_bit_hold_0_and_1(tmp_path: Path, name: str) -> None:
    labels = ValueMaskReader([0, 1])(write_mask(tmp_path / name, VALUES > 0, "1"))
    assert np.array_equal(labels, VALUES > 0)


def write_packed(file: Path, values: NDArray[np.uint8], bits: int) -> None:
    """Write a grey PNG of less than eight bits, which neither Pillow nor OpenCV can."""
    height, width = values.shape
    per_byte = 8 // bits
    places = bits * np.arange(per_byte)[::-1]
    rows = (values.reshape(height, -1, per_byte) << places).sum(2).astype(np.uint8)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
        (b"IEND", b""),
    ]
    chunk_bytes = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk_bytes))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_masks_of_few_bits_are_read_unchanged(tmp_path: Path, bits: int) -> None:
    values = np.arange(32, dtype=np.uint8).reshape(4, 8) % min(1 << bits, 32)
    write_packed(tmp_path / "mask.png", values, bits)
    assert np.array_equal(ValueMaskReader(range(32))(tmp_path / "mask.png"), values)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif"])
def test_masks_of_sixteen_bits_are_read(tmp_path: Path, name: str) -> None:
    labels = READ(write_mask(tmp_path / name, VALUES.astype(np.uint16)))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, VALUES)


@pytest.mark.parametrize("value", [3, 254, 256, 257, 511, 24_003, 65_535])
def test_unknown_values_are_named(tmp_path: Path, value: int, assert_one_sentence: OneSentence) -> None:
    values = VALUES.astype(np.uint16)
    values[1, 2] = value
    file = write_mask(tmp_path / "mask.png", values)
    assert_one_sentence(read_error(READ, file), file, f"value {value} (row 1, column 2)", "3 classes' values 0 … 2")


@pytest.mark.parametrize("value", [-1, -5, -257, -100_000])
def test_negative_values_are_refused(tmp_path: Path, value: int, assert_one_sentence: OneSentence) -> None:
    values = VALUES.astype(np.int32)
    values[0, 0] = value
    PIL.Image.fromarray(values).save(tmp_path / "mask.tif")
    reader = ValueMaskReader(range(254))  # has every index that a negative value could wrap to
    assert_one_sentence(read_error(reader, tmp_path / "mask.tif"), f"value {value} (row 0, column 0)", "0 … 65535")


def test_classes_may_have_any_values_in_any_order(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", [[7, 200, 0, 9]])
    assert ValueMaskReader([200, 0, 7], ignored=[9])(file).tolist() == [[2, 0, 1, 255]]


def test_0_and_255_can_be_two_classes(tmp_path: Path) -> None:
    assert ValueMaskReader([0, 255], ignored=[])(write_mask(tmp_path / "mask.png", [[0, 255]])).tolist() == [[0, 1]]


def test_only_given_values_are_ignored(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.png", VALUES)
    assert_one_sentence(read_error(ValueMaskReader(range(3), ignored=[]), file), file, "value 255", "row 0, column 3")


def test_254_classes_differ_from_ignored_pixels(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", [[0, 253, 255]])
    assert ValueMaskReader(range(MAX_CLASSES))(file).tolist() == [[0, 253, 255]]
    assert "value 253" in str(read_error(ValueMaskReader(range(MAX_CLASSES - 1)), file))


@pytest.mark.parametrize(
    ("values", "ignored"),
    [
        *(([], [255]), (range(255), []), ([0, 0], [255]), ([0, 255], [255])),
        *(([0, 65_536], []), ([-1, 0], []), ([0], [70_000])),
    ],
    ids=str,
)
def test_invalid_values_are_refused(
    values: Sequence[int], ignored: list[int], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match="values") as caught:
        ValueMaskReader(values, ignored)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("RGBA", 4), ("LA", 2), ("CMYK", 4)])
def test_colour_masks_are_refused_when_reading_values(
    tmp_path: Path, mode: str, channels: int, assert_one_sentence: OneSentence
) -> None:
    file = tmp_path / ("mask.tif" if mode == "CMYK" else "mask.png")
    PIL.Image.new(mode, (4, 3)).save(file)
    assert_one_sentence(
        read_error(READ, file), file, f"{channels} channels ({mode})", "one channel", "--data.colours=[[R,"
    )


def test_fractions_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.tif", np.zeros((3, 4), np.float32))
    assert_one_sentence(read_error(READ, file), file, "fractions", "whole numbers")
    assert_one_sentence(read_error(ColourMaskReader(COLOURS), file), file, "fractions", "whole numbers")


# colours


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_read_as_classes(tmp_path: Path, mode: str) -> None:
    image = PIL.Image.fromarray(PAINTED)
    image = image.quantize(3) if mode == "P" else image.convert(mode)
    if mode == "RGBA":
        image.putalpha(0)
    image.save(tmp_path / "mask.png")
    labels = ColourMaskReader(COLOURS)(tmp_path / "mask.png")
    assert labels.dtype == np.uint8
    assert labels.tolist() == PAINTED_LABELS


def test_black_and_white_are_colours(tmp_path: Path) -> None:
    for mode in ("1", "L"):
        PIL.Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode).save(tmp_path / "mask.png")
        assert ColourMaskReader([[255] * 3, [0] * 3])(tmp_path / "mask.png").tolist() == [[1, 0]]


def test_colours_can_be_ignored_and_have_any_order(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", PAINTED)
    red_and_blue = write_mask(tmp_path / "two.png", [[[1, 2, 3], [3, 2, 1]]])
    assert ColourMaskReader(COLOURS[:0:-1], ignored=COLOURS[:1])(file).tolist() == [[255, 1, 0, 0], [0, 0, 1, 255]]
    assert ColourMaskReader([[3, 2, 1], [1, 2, 3]])(red_and_blue).tolist() == [[1, 0]]


def test_unknown_colours_are_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    painted = PAINTED.copy()
    painted[1, 2] = (128, 64, 127)
    file = write_mask(tmp_path / "mask.png", painted)
    where = "[128, 64, 127] (row 1, column 2)"
    assert_one_sentence(
        read_error(ColourMaskReader(COLOURS), file), file, where, "--data.colours", "--data.ignored_colours"
    )


def test_sixteen_bits_are_refused_when_reading_colours(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.png", VALUES.astype(np.uint16))
    assert_one_sentence(read_error(ColourMaskReader(COLOURS), file), file, "more than eight bits", "--data.values")


@pytest.mark.parametrize(
    ("colours", "ignored"),
    [
        ([], []),
        ([[0, 0]], []),
        ([[0, 0, 0, 0]], []),
        ([[0, 0, 256]], []),
        ([[0, 0, -1]], []),
        ([[0, 0, 0]], [[1, 2]]),
        ([[1, 2, 3], [1, 2, 3]], []),
        ([[1, 2, 3]], [[1, 2, 3]]),
        ([[0, k // 256, k % 256] for k in range(255)], []),
    ],
    ids=lambda value: str(value)[:30],
)
def test_invalid_colours_are_refused(colours: Any, ignored: Any, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="colour") as caught:
        ColourMaskReader(colours, ignored)
    assert_one_sentence(caught.value)


# invalid files

READERS = pytest.mark.parametrize("reader", [READ, ColourMaskReader(COLOURS)], ids=["values", "colours"])


@READERS
def test_lossy_masks_are_refused(tmp_path: Path, reader: MaskReader, assert_one_sentence: OneSentence) -> None:
    grey = np.zeros((8, 8), np.uint8)
    for file in (write_mask(tmp_path / "mask.jpg", grey), tmp_path / "other_suffix.png"):
        file.write_bytes((tmp_path / "mask.jpg").read_bytes())
        assert_one_sentence(read_error(reader, file), file, "JPEG", "PNG")
    both = PIL.Image.fromarray(grey), PIL.Image.fromarray(grey)
    both[0].save(tmp_path / "two.mpo", save_all=True, append_images=both[1:])
    assert_one_sentence(read_error(reader, tmp_path / "two.mpo"), "two.mpo", "JPEG", "PNG")


@READERS
@pytest.mark.parametrize("left", [0, 5, 60, -30], ids=["nothing", "signature", "header", "almost all"])
def test_damaged_masks_are_refused(
    tmp_path: Path, reader: MaskReader, left: int, assert_one_sentence: OneSentence
) -> None:
    noise = np.random.default_rng(0).integers(3, size=(40, 40))
    file = write_mask(tmp_path / "mask.png", noise)
    file.write_bytes(file.read_bytes()[:left])
    assert_one_sentence(read_error(reader, file), file, "cannot be read as a mask")


@READERS
def test_missing_files_and_folders_are_refused(
    tmp_path: Path, reader: MaskReader, assert_one_sentence: OneSentence
) -> None:
    assert_one_sentence(read_error(reader, tmp_path / "no.png"), tmp_path / "no.png", "does not exist")
    assert_one_sentence(read_error(reader, tmp_path), tmp_path, "it is a folder")


def test_odd_images_are_read_or_refused_in_one_sentence(real_data: Path, assert_one_sentence: OneSentence) -> None:
    files = [file for file in sorted((real_data / "odd_images" / "pillow").iterdir()) if file.name != "LICENSE"]
    for file in files:
        for reader in (ValueMaskReader([0, 1]), ColourMaskReader(COLOURS)):
            try:
                assert reader(file).ndim == 2
            except DataError as error:
                assert_one_sentence(error, file)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_masks_to_be_turned_are_refused(tmp_path: Path, suffix: str, assert_one_sentence: OneSentence) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 3
    file = tmp_path / f"mask{suffix}"
    PIL.Image.fromarray(np.eye(5, dtype=np.uint8)).save(file, exif=exif)
    assert_one_sentence(read_error(ValueMaskReader([0, 1]), file), file, "turned")
