"""Decodes images with OpenCV or Pillow, whichever reads them correctly, and rotates and resizes them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
from numpy.typing import NDArray

from ...errors import ImageError
from .files import explain_failure
from .headers import BMP, JPEG, PILLOW_FORMATS, PNG

Image = NDArray[np.uint8]

START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# WebP files without metadata and animation: lossy and lossless
PLAIN_WEBP = (b"WEBPVP8 ", b"WEBPVP8L")
# flags by the factor by which a JPEG decoder shrinks an image, largest first; "grey" sets the factor, not the colours
REDUCED_FLAGS = {
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
}
# OpenCV's codes by EXIF orientation: 1 mirrors left and right, 0 top and bottom, −1 both
FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


def decode_image(path: str | Path, data: bytes) -> Image:
    """Decodes ``data``, the content of ``path``, as ``[H, W, 3]`` uint8 RGB, without applying an orientation.

    Raises:
        ImageError: it cannot be decoded.
    """
    if can_use_opencv(data):
        image = decode_with_opencv(data)
        if image is not None:
            return image
    try:
        with PIL.Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as file:
            return decode_with_pillow(file)
    except Exception as error:  # a damaged file can raise any exception
        raise ImageError(explain_failure(path, error, data[:16])) from error


def decode_with_opencv(data: bytes, scale: int = 0) -> Image | None:
    """Decodes ``data`` with OpenCV; None if it cannot. ``scale`` is one of :data:`REDUCED_FLAGS`, or 0."""
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION | scale
    with contextlib.suppress(cv2.error):  # raised for images beyond OpenCV's limits
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
        return None if image is None else np.asarray(image, dtype=np.uint8)


def can_use_opencv(data: bytes) -> bool:
    """Whether OpenCV, which is twice as fast as Pillow, decodes ``data`` correctly or reports that it cannot.

    OpenCV pads truncated JPEG and PNG files and decodes some animated PNG files as black. It multiplies the colours of
    a TIFF by its alpha.
    """
    if data.startswith(JPEG):
        # in a truncated file, the last end marker is that of the thumbnail, and the image's scan follows it
        end = data.rfind(END_OF_IMAGE)
        return end >= 0 and data.find(START_OF_SCAN, end) < 0
    if data.startswith(PNG):
        return data[-8:-4] == b"IEND" and b"acTL" not in data[: data.find(b"IDAT")]
    return data.startswith(BMP) or (data.startswith(b"RIFF") and data[8:16] in PLAIN_WEBP)


def decode_with_pillow(file: PIL.Image.Image) -> Image:
    """Decodes an opened ``file`` as :func:`decode_image` does; slower, but reads more formats, explains failures."""
    has_16_bits = file.mode.startswith("I;16") or (file.mode == "I" and file.format == "PPM")
    if file.mode in ("I", "F") and not has_16_bits:
        raise ValueError(f"its values are 32-bit {'integers' if file.mode == 'I' else 'floats'}, not 8 or 16 bits")
    if file.format == "TIFF":  # Pillow rotates TIFF files while loading them, unless the orientation is removed
        file.getexif().pop(PIL.ExifTags.Base.Orientation, None)
    if has_16_bits:  # Pillow would clip at 255; the copy of a TIFF has its stored size
        return np.repeat((np.asarray(file.copy()) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(file.convert("RGB"))


def rotate_image(image: Image, orientation: int) -> Image:
    """Turns or mirrors ``image`` ``[H, W, 3]`` as an EXIF ``orientation`` of 1 … 8 says."""
    if orientation > 4:
        image = np.asarray(cv2.transpose(image), dtype=np.uint8)
    if orientation in FLIPS:
        image = np.asarray(cv2.flip(image, FLIPS[orientation]), dtype=np.uint8)
    return image


def resize_image(image: Image, rows: int, columns: int) -> Image:
    """Resizes ``image`` ``[h, w, 3]``: bilinearly, or by averaging areas if a side shrinks to less than half.

    Bilinear interpolation uses 2×2 pixels, so it would skip some pixels in that case.
    """
    height, width = image.shape[:2]
    if (height, width) == (rows, columns):
        return image
    if height > 2 * rows or width > 2 * columns:
        # shrinks first: INTER_AREA picks single pixels if the other side grows, which shifts the image
        smaller = min(columns, width), min(rows, height)
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if smaller == (columns, rows):
            return image
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
