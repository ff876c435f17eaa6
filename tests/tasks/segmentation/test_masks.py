"""Mask files of every kind: read right, or refused by a sentence that names file, value and the way out."""

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
from litmobile.tasks.segmentation.masks import MOST_CLASSES, ByColour, ByValue, MaskReader
from support.segmentation import write_mask

OneSentence = Callable[..., None]
VALUES = np.array([[0, 1, 2, 255], [2, 2, 1, 0]])
READ = ByValue(range(3))
COLOURS = [[0, 0, 0], [128, 64, 128], [255, 255, 255]]
PAINTED = np.array(COLOURS, np.uint8)[[[0, 1, 2, 2], [2, 2, 1, 0]]]
PAINTED_LABELS = [[0, 1, 2, 2], [2, 2, 1, 0]]


def refused(reader: MaskReader, file: Path) -> DataError:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no file is left open
        with pytest.raises(DataError) as caught:
            reader(file)
    return caught.value


# values of one channel


@pytest.mark.parametrize("name", ["mask.png", "mask.PNG", "mask.tif", "mask.bmp", "mask.pgm", "mit Leer grün.png"])
def test_grey_masks_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    labels = READ(write_mask(tmp_path / name, VALUES))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, VALUES)


@pytest.mark.parametrize("name", ["mask.png", "mask.gif", "mask.tif", "mask.bmp"])
def test_palettes_are_left_aside(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    write_mask(file, VALUES, "P")
    with PIL.Image.open(file) as picture:
        assert picture.mode == "P", "this is meant to be about palettes"
    if name != "mask.gif":  # which may be stored with another palette
        assert np.array_equal(READ(file), VALUES)


@pytest.mark.parametrize("colours", [2, 4, 16])
def test_palettes_of_few_colours_are_left_aside(tmp_path: Path, colours: int) -> None:
    values = np.arange(24).reshape(4, 6) % colours
    picture = PIL.Image.frombytes("P", (6, 4), values.astype(np.uint8).tobytes())
    picture.putpalette([9, 9, 9] * colours)
    picture.save(tmp_path / "mask.png", bits={2: 1, 4: 2, 16: 4}[colours])
    assert np.array_equal(ByValue(range(16))(tmp_path / "mask.png"), values)


@pytest.mark.parametrize("name", ["mask.png", "mask.pbm", "mask.tif"])
def test_masks_of_one_bit_hold_0_and_1(tmp_path: Path, name: str) -> None:
    labels = ByValue([0, 1])(write_mask(tmp_path / name, VALUES > 0, "1"))
    assert np.array_equal(labels, VALUES > 0)


def write_packed(file: Path, values: NDArray[np.uint8], bits: int) -> None:
    """Write a grey PNG of fewer bits than a byte has, which neither Pillow nor OpenCV does."""
    height, width = values.shape
    per_byte = 8 // bits
    places = bits * np.arange(per_byte)[::-1]
    rows = (values.reshape(height, -1, per_byte) << places).sum(2).astype(np.uint8)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(of)) + kind + of + struct.pack(">I", zlib.crc32(kind + of)) for kind, of in chunks]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_masks_of_few_bits_are_read_as_they_are_stored(tmp_path: Path, bits: int) -> None:
    values = np.arange(32, dtype=np.uint8).reshape(4, 8) % min(1 << bits, 32)
    write_packed(tmp_path / "mask.png", values, bits)
    assert np.array_equal(ByValue(range(32))(tmp_path / "mask.png"), values)


@pytest.mark.parametrize("name", ["mask.png", "mask.tif"])
def test_masks_of_sixteen_bits_are_read_where_their_values_fit(tmp_path: Path, name: str) -> None:
    labels = READ(write_mask(tmp_path / name, VALUES.astype(np.uint16)))
    assert labels.dtype == np.uint8
    assert np.array_equal(labels, VALUES)


@pytest.mark.parametrize("value", [3, 254, 256, 257, 511, 24_003, 65_535])
def test_values_beyond_the_classes_are_named_whatever_their_bits(
    tmp_path: Path, value: int, assert_one_sentence: OneSentence
) -> None:
    values = VALUES.astype(np.uint16)
    values[1, 2] = value
    file = write_mask(tmp_path / "mask.png", values)
    assert_one_sentence(refused(READ, file), file, f"value {value} (row 1, column 2)", "3 classes' 0 … 2")


@pytest.mark.parametrize("value", [-1, -5, -257, -100_000])
def test_values_below_0_are_no_classes(tmp_path: Path, value: int, assert_one_sentence: OneSentence) -> None:
    values = VALUES.astype(np.int32)
    values[0, 0] = value
    PIL.Image.fromarray(values).save(tmp_path / "mask.tif")
    reader = ByValue(range(254))  # for every value that a negative one could be taken for
    assert_one_sentence(refused(reader, tmp_path / "mask.tif"), f"value {value} (row 0, column 0)", "0 … 65535")


def test_classes_may_have_any_values_in_any_order(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", [[7, 200, 0, 9]])
    assert ByValue([200, 0, 7], ignored=[9])(file).tolist() == [[2, 0, 1, 255]]


def test_0_and_255_can_be_two_classes(tmp_path: Path) -> None:
    assert ByValue([0, 255], ignored=[])(write_mask(tmp_path / "mask.png", [[0, 255]])).tolist() == [[0, 1]]


def test_nothing_is_ignored_but_what_is_said_to_be(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.png", VALUES)
    assert_one_sentence(refused(ByValue(range(3), ignored=[]), file), file, "value 255", "row 0, column 3")


def test_the_most_classes_are_told_from_what_counts_as_none(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", [[0, 253, 255]])
    assert ByValue(range(MOST_CLASSES))(file).tolist() == [[0, 253, 255]]
    assert "value 253" in str(refused(ByValue(range(MOST_CLASSES - 1)), file))


@pytest.mark.parametrize(
    ("values", "ignored"),
    [
        *(([], [255]), (range(255), []), ([0, 0], [255]), ([0, 255], [255])),
        *(([0, 65_536], []), ([-1, 0], []), ([0], [70_000])),
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused(
    values: Sequence[int], ignored: list[int], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match="values") as caught:
        ByValue(values, ignored)
    assert_one_sentence(caught.value)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("RGBA", 4), ("LA", 2), ("CMYK", 4)])
def test_masks_with_colours_are_refused_where_numbers_are_expected(
    tmp_path: Path, mode: str, channels: int, assert_one_sentence: OneSentence
) -> None:
    file = tmp_path / ("mask.tif" if mode == "CMYK" else "mask.png")
    PIL.Image.new(mode, (4, 3)).save(file)
    assert_one_sentence(
        refused(READ, file), file, f"{channels} channels ({mode})", "one channel", "--data.colours=[[R,"
    )


def test_fractions_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.tif", np.zeros((3, 4), np.float32))
    assert_one_sentence(refused(READ, file), file, "fractions", "whole numbers")
    assert_one_sentence(refused(ByColour(COLOURS), file), file, "fractions", "whole numbers")


# colours


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_stand_for_classes(tmp_path: Path, mode: str) -> None:
    picture = PIL.Image.fromarray(PAINTED)
    picture = picture.quantize(3) if mode == "P" else picture.convert(mode)
    if mode == "RGBA":
        picture.putalpha(0)
    picture.save(tmp_path / "mask.png")
    labels = ByColour(COLOURS)(tmp_path / "mask.png")
    assert labels.dtype == np.uint8
    assert labels.tolist() == PAINTED_LABELS


def test_black_and_white_are_colours(tmp_path: Path) -> None:
    for mode in ("1", "L"):
        PIL.Image.fromarray(np.array([[0, 255]], np.uint8)).convert(mode).save(tmp_path / "mask.png")
        assert ByColour([[255] * 3, [0] * 3])(tmp_path / "mask.png").tolist() == [[1, 0]]


def test_colours_can_be_ignored_and_their_order_is_that_of_the_classes(tmp_path: Path) -> None:
    file = write_mask(tmp_path / "mask.png", PAINTED)
    red_and_blue = write_mask(tmp_path / "two.png", [[[1, 2, 3], [3, 2, 1]]])
    assert ByColour(COLOURS[:0:-1], ignored=COLOURS[:1])(file).tolist() == [[255, 1, 0, 0], [0, 0, 1, 255]]
    assert ByColour([[3, 2, 1], [1, 2, 3]])(red_and_blue).tolist() == [[1, 0]]


def test_other_colours_are_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    painted = PAINTED.copy()
    painted[1, 2] = (128, 64, 127)
    file = write_mask(tmp_path / "mask.png", painted)
    where = "[128, 64, 127] (row 1, column 2)"
    assert_one_sentence(refused(ByColour(COLOURS), file), file, where, "--data.colours", "--data.ignored_colours")


def test_sixteen_bits_are_no_colours(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_mask(tmp_path / "mask.png", VALUES.astype(np.uint16))
    assert_one_sentence(refused(ByColour(COLOURS), file), file, "more than eight bits", "--data.values")


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
def test_colours_that_cannot_be_are_refused(colours: Any, ignored: Any, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match="colour") as caught:
        ByColour(colours, ignored)
    assert_one_sentence(caught.value)


# files that are no masks

READERS = pytest.mark.parametrize("reader", [READ, ByColour(COLOURS)], ids=["values", "colours"])


@READERS
def test_masks_stored_with_loss_are_refused(
    tmp_path: Path, reader: MaskReader, assert_one_sentence: OneSentence
) -> None:
    grey = np.zeros((8, 8), np.uint8)
    for file in (write_mask(tmp_path / "mask.jpg", grey), tmp_path / "called_otherwise.png"):
        file.write_bytes((tmp_path / "mask.jpg").read_bytes())
        assert_one_sentence(refused(reader, file), file, "JPEG", "PNG")
    both = PIL.Image.fromarray(grey), PIL.Image.fromarray(grey)
    both[0].save(tmp_path / "two.mpo", save_all=True, append_images=both[1:])
    assert_one_sentence(refused(reader, tmp_path / "two.mpo"), "two.mpo", "JPEG", "PNG")


@READERS
@pytest.mark.parametrize("left", [0, 5, 60, -30], ids=["nothing", "signature", "header", "almost all"])
def test_damaged_masks_are_refused(
    tmp_path: Path, reader: MaskReader, left: int, assert_one_sentence: OneSentence
) -> None:
    noise = np.random.default_rng(0).integers(3, size=(40, 40))
    file = write_mask(tmp_path / "mask.png", noise)
    file.write_bytes(file.read_bytes()[:left])
    assert_one_sentence(refused(reader, file), file, "cannot be read as a mask")


@READERS
def test_what_is_no_file_is_refused(tmp_path: Path, reader: MaskReader, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(reader, tmp_path / "no.png"), tmp_path / "no.png", "does not exist")
    assert_one_sentence(refused(reader, tmp_path), tmp_path, "cannot be read as a mask")


def test_pictures_of_the_wild_are_read_or_refused_in_a_sentence(
    real_data: Path, assert_one_sentence: OneSentence
) -> None:
    files = [file for file in sorted((real_data / "odd_images" / "pillow").iterdir()) if file.name != "LICENSE"]
    for file in files:
        for reader in (ByValue([0, 1]), ByColour(COLOURS)):
            try:
                assert reader(file).ndim == 2
            except DataError as error:
                assert_one_sentence(error, file)
