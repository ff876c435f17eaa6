"""Image files of every kind are read correctly or refused with the reason."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from litmobile.errors import ImageError
from litmobile.tasks.images import can_use_opencv, read_image, resize_image
from litmobile.tasks.images.files import IMAGE_SUFFIXES
from support.data.encoding import EXACT, FORMATS, encode, make_scene

OneSentence = Callable[..., None]

READABLE = (
    *(f"exif/{scene}_{orientation}.jpg" for scene in ("Landscape", "Portrait") for orientation in range(9)),
    *(f"pillow/{name}.png" for name in ("1_trns", "bw_gradient", "itxt_chunks", "pil123p", "pil123rgba")),
    *(f"pillow/{name}.png" for name in ("mode_16bit", "mode_grayscale_alpha")),
    *("pillow/hopper_gray.jpg", "pillow/pil_sample_cmyk.jpg"),
)
READABLE_16_BIT = ("pillow/16bit.cropped.tif", "pillow/16_bit_binary.pgm")
DAMAGED = {
    "pillow/truncated_jpeg.jpg": "truncated",
    "pillow/truncated_image.png": "truncated",
    "pillow/broken_data_stream.png": "data stream",
    "pillow/broken.png": "its beginning is damaged",
}


def add_thumbnail(jpeg: bytes) -> bytes:
    """Add a thumbnail as cameras do: a complete JPEG before the image data."""
    content = b"Exif\0\0" + encode(make_scene(10, 15), "JPEG")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def read_with_pillow(file: Path | bytes) -> np.ndarray:
    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read(data: bytes, tmp_path: Path, **options: Any) -> np.ndarray:
    (tmp_path / "image").write_bytes(data)  # the format follows from the bytes, not from the name
    image = read_image(tmp_path / "image", **options)
    assert image.dtype == np.uint8 and image.shape[2] == 3 and image.flags.c_contiguous
    return image


def assert_close(image: np.ndarray, expected: np.ndarray, tolerance: int) -> None:
    assert image.shape == expected.shape
    difference = int(np.abs(image.astype(int) - expected).max())
    assert difference <= tolerance


# real files


def test_every_odd_file_is_tested(real_data: Path) -> None:
    files = (path for path in (real_data / "odd_images").glob("*/*") if path.suffix in IMAGE_SUFFIXES)
    names = {path.relative_to(real_data / "odd_images").as_posix() for path in files}
    assert names == {*READABLE, *READABLE_16_BIT, *DAMAGED}


@pytest.mark.filterwarnings("ignore:Palette images")
@pytest.mark.parametrize("name", READABLE)
def test_odd_files_are_read_as_pillow_reads_them(name: str, real_data: Path) -> None:
    path = real_data / "odd_images" / name
    assert_close(read_image(path), read_with_pillow(path), tolerance=2 if "cmyk" in name else 0)


@pytest.mark.parametrize("name", READABLE_16_BIT)
def test_odd_16_bit_files_are_scaled(name: str, real_data: Path) -> None:
    path = real_data / "odd_images" / name
    with Image.open(path) as image:
        values = np.asarray(image).astype(int)
    assert values.max() > 255
    assert_close(read_image(path), np.stack([values / 257] * 3, axis=2).round(), tolerance=1)


@pytest.mark.parametrize(("name", "reason"), DAMAGED.items())
def test_odd_damaged_files_are_refused(
    name: str, reason: str, real_data: Path, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(real_data / "odd_images" / name)
    assert_one_sentence(caught.value, real_data / "odd_images" / name, reason)


# undamaged files


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_as_written(kind: str, tmp_path: Path) -> None:
    image = read(encode(make_scene(), kind), tmp_path)
    assert_close(image, np.asarray(make_scene()), tolerance=0 if kind in EXACT else 60)
    assert_close(image, read_with_pillow(tmp_path / "image"), tolerance=0)


MODES = {
    "JPEG": ("1", "L", "CMYK", "YCbCr"),
    "PNG": ("1", "L", "LA", "P", "RGBA"),
    "TIFF": ("1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr"),
    "GIF": ("1", "L", "LA", "P", "RGBA"),
    "BMP": ("1", "L", "P", "RGBA"),
}


@pytest.mark.parametrize(("kind", "mode"), [(kind, mode) for kind, modes in MODES.items() for mode in modes])
def test_every_mode_is_read_as_pillow_reads_it(kind: str, mode: str, tmp_path: Path) -> None:
    image = make_scene().convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(make_scene().getchannel("G"))  # colours under alpha are kept as stored
    data = encode(image, kind)
    assert_close(read(data, tmp_path), read_with_pillow(data), tolerance=2 if mode == "CMYK" else 0)


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".png", 1), (".png", 3), (".tif", 1), (".tif", 3), (".pgm", 1), (".ppm", 3)]
)
def test_16_bit_values_are_scaled_not_clipped(suffix: str, channels: int, tmp_path: Path) -> None:
    image = np.asarray(make_scene())[:, :, :channels]
    stored = cv2.imencode(suffix, image[:, :, ::-1].astype(np.uint16) * 257)[1].tobytes()
    assert_close(read(stored, tmp_path), np.broadcast_to(image, (40, 60, 3)), tolerance=0)


@pytest.mark.parametrize(("mode", "values"), [("I", "integers"), ("F", "floats")])
def test_values_without_a_known_range_are_refused(
    mode: str, values: str, tmp_path: Path, assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ImageError) as caught:
        read(encode(make_scene().convert("L").convert(mode), "TIFF"), tmp_path)
    assert_one_sentence(caught.value, tmp_path / "image", values)


@pytest.mark.parametrize("default_image", [False, True], ids=["animated from the start", "animated after a still"])
def test_the_first_frame_of_an_animation_is_read(default_image: bool, tmp_path: Path) -> None:
    other = make_scene().transpose(Image.Transpose.ROTATE_180)
    film = {"save_all": True, "append_images": [other, make_scene()], "default_image": default_image}
    assert np.array_equal(read(encode(make_scene(), "PNG", **film), tmp_path), np.asarray(make_scene()))


def test_bytes_after_the_image_do_not_matter(tmp_path: Path) -> None:
    film = np.random.default_rng(0).integers(256, size=200_000, dtype=np.uint8).tobytes()  # phones append videos
    for kind in ("JPEG", "PNG"):
        data = encode(make_scene(), kind)
        for tail in (b"\0" * 100, film):
            assert_close(read(data + tail, tmp_path), read_with_pillow(data), tolerance=0)


# damaged files


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("part", [0.5, 0.8, 0.98])
@pytest.mark.parametrize("kind", [*FORMATS, "GIF"])
def test_truncated_files_are_refused(kind: str, part: float, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    data = encode(make_scene(200, 300), kind)
    with pytest.raises(ImageError) as caught:
        read(data[: int(part * len(data))], tmp_path)
    assert_one_sentence(caught.value, tmp_path / "image", "cannot be read as an image: ")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_truncated_anywhere_is_refused(progressive: bool, tmp_path: Path) -> None:
    whole = add_thumbnail(encode(make_scene(), "JPEG", progressive=progressive))
    assert whole.count(b"\xff\xd9") == 2
    assert_close(read(whole, tmp_path), read_with_pillow(whole), tolerance=0)
    for end in range(0, len(whole) - 2, 7):
        with pytest.raises(ImageError, match="cannot be read as an image"):
            read(whole[:end], tmp_path)


def test_png_without_its_end_chunk_is_read(tmp_path: Path) -> None:
    data = encode(make_scene(), "PNG")
    assert not can_use_opencv(data[:-12])
    assert np.array_equal(read(data[:-12], tmp_path), np.asarray(make_scene()))


def test_a_png_with_altered_bytes_is_refused(tmp_path: Path) -> None:
    data = bytearray(encode(make_scene(), "PNG"))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(ImageError, match="cannot be read as an image"):
        read(bytes(data), tmp_path)


@pytest.mark.parametrize("data", [b"", b"not an image", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM", b"RIFF" + b"\0" * 40])
def test_content_that_is_not_an_image_is_refused(data: bytes, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ImageError) as caught:
        read(data, tmp_path)
    assert_one_sentence(caught.value, tmp_path / "image", "cannot be read as an image")


def test_size_that_differs_from_the_annotation_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ImageError) as caught:
        read(encode(make_scene(), "JPEG"), tmp_path, annotated_size=(60, 60))
    assert_one_sentence(caught.value, tmp_path / "image", "is 60×40 pixels", "say 60×60")


# speed


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_common_formats_are_decoded_by_opencv(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    read(encode(make_scene(), kind), tmp_path)


@pytest.mark.parametrize("size", [(4, 40), (40, 4), (9, 21), (4, 16)], ids=str)
def test_resizing_does_not_shift_the_image(size: tuple[int, int]) -> None:
    """One side shrinks to less than half while the other grows or shrinks less."""
    steps = np.arange(16, dtype=np.uint8) * 15
    for axis, side in enumerate(size):
        image = np.repeat(np.expand_dims(steps, 1 - axis), 16, axis=1 - axis)
        resized = resize_image(np.repeat(image[:, :, None], 3, axis=2), *size)[:, :, 0]
        expected = ((np.arange(side) + 0.5) * 16 / side - 0.5).clip(0, 15) * 15
        assert np.abs(np.moveaxis(resized, axis, 1) - expected).max() <= 1
