"""Reading pictures from disk, the same way for training, evaluation and prediction."""

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

from ..errors import ImageError, UserError

Image = NDArray[np.uint8]

#: what files of pictures are called that :func:`read_image` can read
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr"),
)
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


def read_image(path: str | Path, annotated_size: tuple[int, int] | None = None) -> Image:
    """Reads a picture as RGB, whatever its file holds.

    Grey pictures get three equal channels, 16 bits are scaled to 8, and where a picture is transparent its colours are
    taken as they are stored. A JPEG with a hole in the middle cannot be told from a whole one; any other damage that
    decoders notice is an error, never a picture that is partly grey.

    Args:
        path: the file.
        annotated_size: (height, width) that boxes of this picture refer to. Cameras store a picture unrotated, with a note
            how to turn it; annotation tools differ in whether they heed it. The reading that has this size is taken.
            None heeds the note.

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        ImageError: the file is absent, no picture, truncated or damaged, or has another size than ``annotated_size``.
    """
    try:
        with Path(path).open("rb", buffering=0) as file:  # a buffer costs more time than the reading
            data = file.read()
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist.") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    image = decode(path, data, turned=annotated_size is None)
    if annotated_size is not None and image.shape[:2] != annotated_size:
        height, width = image.shape[:2]
        image = decode(path, data, turned=True)
        if image.shape[:2] != annotated_size:
            raise ImageError(
                f"{path} is {width}×{height} pixels, but its annotations say {annotated_size[1]}×{annotated_size[0]}."
            )
    return image


def decode(path: str | Path, data: bytes, turned: bool) -> Image:
    """The picture that ``data``, the content of ``path``, holds; ``turned`` as the camera noted, or as stored."""
    if can_use_opencv(data):
        flags = cv2.IMREAD_COLOR_RGB if turned else cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        with contextlib.suppress(cv2.error):  # raised for pictures beyond OpenCV's limits
            image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), flags)
            if image is not None:
                return np.asarray(image, dtype=np.uint8)
    return decode_with_pillow(path, data, turned)


def resize_image(image: Image, rows: int, columns: int) -> Image:
    """``image`` ``[h, w, 3]`` in another size: bilinearly, unless that would skip pixels, of which it looks at 2×2."""
    height, width = image.shape[:2]
    if (height, width) == (rows, columns):
        return image
    if height > 2 * rows or width > 2 * columns:
        # means alone first: where the other side grows, OpenCV takes single pixels instead, which shifts the picture
        smaller = min(columns, width), min(rows, height)
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if smaller == (columns, rows):
            return image
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def can_use_opencv(data: bytes) -> bool:
    """Whether OpenCV, which is twice as quick as Pillow, either reads ``data`` right or says that it cannot.

    It fills up truncated JPEG and PNG files, reads some animated PNG as black, multiplies the colours of a TIFF by its
    alpha and leaves AVIF unturned.
    """
    if data.startswith(JPEG):
        end = data.rfind(END_OF_IMAGE)  # that of the thumbnail, if the picture's own is lost: its scan follows then
        return end >= 0 and data.find(START_OF_SCAN, end) < 0
    if data.startswith(PNG):
        return data[-8:-4] == b"IEND" and b"acTL" not in data[: data.find(b"IDAT")]  # acTL says that it is animated
    return data.startswith((b"BM", b"RIFF"))  # bitmaps and WebP


def decode_with_pillow(path: str | Path, data: bytes, turned: bool) -> Image:
    """As :func:`decode`, by Pillow: slower, of more kinds of files, and it says what is wrong with a file."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            deep = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PPM")
            if picture.mode in ("I", "F") and not deep:
                raise UserError(f"its values are 32-bit {'integers' if picture.mode == 'I' else 'floats'}")
            if not turned:  # the note has to go before the pixels are loaded, because TIFF files are turned then
                picture.getexif().pop(PIL.ExifTags.Base.Orientation, None)
            picture = PIL.ImageOps.exif_transpose(picture)
            if deep:  # Pillow would clip at 255
                return np.repeat((np.asarray(picture) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
            return np.array(picture.convert("RGB"))
    except PIL.UnidentifiedImageError:
        reason = "it is of no known kind, or its beginning is damaged"
    except Exception as error:  # a damaged file can fail in any way: syntax, structures, ends, sizes
        reason = str(error).rstrip(".") or type(error).__name__
    raise ImageError(f"{path} cannot be read as an image: {reason}.")
