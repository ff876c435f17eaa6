"""An orientation is applied alike wherever a file stores it, unless the annotations say that it was not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litmobile.tasks.images import EncodedImage, Region, is_orientation_ambiguous, read_image, rotate_image
from support.data.encoding import ORIENTED, encode, encode_oriented, make_exif, make_scene

METHODS = dict(zip(range(2, 9), (0, 3, 1, 5, 4, 6, 2), strict=True))  # Pillow's transpositions by orientation
EVERY = pytest.mark.parametrize("orientation", range(1, 9))
EVERYWHERE = pytest.mark.parametrize("where", ORIENTED)


def write(tmp_path: Path, where: str, orientation: int, scene: Image.Image | None = None) -> Path:
    path = tmp_path / "image"
    path.write_bytes(encode_oriented(where, orientation, scene))
    return path


def turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Rotate with Pillow."""
    if orientation == 1:
        return image
    return np.asarray(Image.fromarray(image).transpose(Image.Transpose(METHODS[orientation])))


@EVERY
@EVERYWHERE
def test_a_file_without_annotations_is_rotated(where: str, orientation: int, tmp_path: Path) -> None:
    stored = read_image(write(tmp_path, where, 1))
    image = EncodedImage.read(write(tmp_path, where, orientation))
    assert image.orientation == orientation and image.size == image.pixels.shape[:2]
    assert np.array_equal(image.pixels, turn(stored, orientation))


@EVERY
@EVERYWHERE
@pytest.mark.parametrize("side", [60, 40], ids=["wide", "square"])
def test_annotations_choose_where_they_can(where: str, orientation: int, side: int, tmp_path: Path) -> None:
    """The stored image is read if only its size fits; the rotated one if its size fits, or if both sizes do."""
    scene = make_scene(40, side)
    stored = read_image(write(tmp_path, where, 1, scene))
    path = write(tmp_path, where, orientation, scene)
    turned = turn(stored, orientation)
    is_turned_by_quarter = orientation > 4 and side != 40
    assert np.array_equal(read_image(path, turned.shape[:2]), turned)
    assert np.array_equal(read_image(path, (40, side)), stored if is_turned_by_quarter else turned)
    for size in {(40, side), (side, 40)}:
        expected = orientation > 1 and not is_turned_by_quarter and size == (40, side)
        assert is_orientation_ambiguous(EncodedImage.read(path), size) == expected


@EVERY
@EVERYWHERE
def test_a_crop_equals_the_full_decode(where: str, orientation: int, tmp_path: Path) -> None:
    path, region = write(tmp_path, where, orientation), Region(3, 5, 30, 20)
    for annotated in (None, (40, 60)):
        pixels, shown = EncodedImage.read(path, annotated).crop(region, 30, 20)
        assert shown == region and np.array_equal(pixels, read_image(path, annotated)[region.slices])


@EVERY
def test_rotating_is_what_pillow_does(orientation: int) -> None:
    image = np.asarray(make_scene())
    assert np.array_equal(rotate_image(image, orientation), turn(image, orientation))


def test_exif_takes_precedence_over_xmp(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    xmp = b"<tiff:Orientation>6</tiff:Orientation>"
    for exif, expected in ((make_exif(3), 3), (make_exif(9), 1), (Image.Exif(), 6)):
        path.write_bytes(encode(make_scene(), "JPEG", exif=exif, xmp=xmp))
        assert EncodedImage.read(path).orientation == expected


@pytest.mark.parametrize(
    "damage", [b"", b"II*\0", b"XX*\0\0\0\0\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_damaged_exif_leaves_the_image_as_stored(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(make_scene(), "JPEG", exif=b"Exif\0\0" + damage))
    assert EncodedImage.read(path).orientation == 1 and read_image(path).shape == (40, 60, 3)


@pytest.mark.parametrize("name", ["Landscape", "Portrait"])
@EVERY
def test_real_photos_show_the_same_scene(name: str, orientation: int, real_data: Path) -> None:
    upright, turned = (
        read_image(real_data / "odd_images" / "exif" / f"{name}_{number}.jpg").astype(int)
        for number in (1, orientation)
    )
    assert turned.shape == upright.shape and np.abs(turned - upright).mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_plain_files_are_read_without_pillow(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(make_scene(), kind)
    (tmp_path / "image").write_bytes(data)
    monkeypatch.setattr(Image, "open", None)
    image = EncodedImage.read(tmp_path / "image")
    assert image.size == (40, 60) and image.pixels.shape == (40, 60, 3)
