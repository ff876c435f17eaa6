"""Reads image files, in the same way for training, evaluation and prediction."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from ..errors import ImageError

Image = NDArray[np.uint8]

#: suffixes of the image files that :func:`read_image` can read
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr"),
)
JPEG, PNG, BMP = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
# metadata of PNG files that OpenCV ignores: animation, and orientations outside the EXIF chunk
PNG_METADATA = (b"acTL", b"XML:com.adobe.xmp", b"Raw profile type exif")
# WebP files without metadata and animation: lossy and lossless
PLAIN_WEBP = (b"WEBPVP8 ", b"WEBPVP8L")


def read_image(path: str | Path, annotated_size: tuple[int, int] | None = None) -> Image:
    """Reads an image file of any kind as RGB.

    Grey images get three equal channels, 16-bit values are scaled to 8 bits, and alpha channels are dropped. Damage
    that a decoder notices raises an error; no image is partly grey. A gap in the middle of a JPEG is not noticed.

    Args:
        path: the file.
        annotated_size: (height, width) that annotations of this image refer to. Annotation tools differ in whether they
            apply the EXIF orientation, so the image is rotated only if that gives this size. None always rotates it.

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        ImageError: the file does not exist, is not an image, is damaged, or has another size than ``annotated_size``.
    """
    try:
        with Path(path).open("rb", buffering=0) as file:  # a buffer would cost more time than the read itself
            data = file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    image = decode_image(path, data, rotate=annotated_size is None)
    if annotated_size is not None and image.shape[:2] != annotated_size:
        height, width = image.shape[:2]
        image = decode_image(path, data, rotate=True)
        if image.shape[:2] != annotated_size:
            raise ImageError(
                f"{path} is {width}×{height} pixels, but its annotations say {annotated_size[1]}×{annotated_size[0]}."
            )
    return image


def decode_image(path: str | Path, data: bytes, rotate: bool) -> Image:
    """Decodes ``data``, the content of ``path``, as ``[H, W, 3]`` uint8 RGB.

    Args:
        path: named in errors.
        data: the encoded image.
        rotate: apply the orientation in the metadata; otherwise the pixels are returned as stored.
    """
    if can_use_opencv(data):
        flags = cv2.IMREAD_COLOR_RGB if rotate else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        with contextlib.suppress(cv2.error):  # raised for images beyond OpenCV's limits
            image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
            if image is not None:
                return np.asarray(image, dtype=np.uint8)
    try:
        with PIL.Image.open(io.BytesIO(data)) as file:
            return decode_with_pillow(file, rotate)
    except PIL.UnidentifiedImageError:
        reason = "its format is unknown, or its beginning is damaged"
    except Exception as error:  # a damaged file can raise any exception
        reason = str(error).rstrip(".") or type(error).__name__
    raise ImageError(f"{path} cannot be read as an image: {reason}.")


def can_use_opencv(data: bytes) -> bool:
    """Whether OpenCV, which is twice as fast as Pillow, decodes ``data`` correctly or reports that it cannot.

    OpenCV pads truncated JPEG and PNG files and decodes some animated PNG files as black. It multiplies the colours of
    a TIFF by its alpha. It ignores the orientation of AVIF and, before version 4.13, of WebP.
    """
    if data.startswith(JPEG):
        # in a truncated file, the last end marker is that of the thumbnail, and the image's scan follows it
        end = data.rfind(END_OF_IMAGE)
        return end >= 0 and data.find(START_OF_SCAN, end) < 0
    if data.startswith(PNG):
        header = data[: data.find(b"IDAT")]
        return data[-8:-4] == b"IEND" and not any(name in header for name in PNG_METADATA)
    return data.startswith(BMP) or (data.startswith(b"RIFF") and data[8:16] in PLAIN_WEBP)


def decode_with_pillow(file: PIL.Image.Image, rotate: bool) -> Image:
    """Decodes an opened ``file`` as :func:`decode_image` does; slower, but reads more formats, explains failures."""
    has_16_bits = file.mode.startswith("I;16") or (file.mode == "I" and file.format == "PPM")
    if file.mode in ("I", "F") and not has_16_bits:
        raise ValueError(f"its values are 32-bit {'integers' if file.mode == 'I' else 'floats'}, not 8 or 16 bits")
    if rotate:
        file = PIL.ImageOps.exif_transpose(file)
    elif file.format == "TIFF":  # Pillow rotates TIFF files while loading them, unless the orientation is removed
        file.getexif().pop(PIL.ExifTags.Base.Orientation, None)
    if has_16_bits:  # Pillow would clip at 255
        return np.repeat((np.asarray(file) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(file.convert("RGB"))


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
