"""Says which image files can be read, reads their bytes, and explains why a file is refused."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import PIL
import PIL.Image

from ...errors import ImageError
from .headers import PILLOW_FORMATS

#: suffixes of the image files that can be read
IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".pbm", ".pgm", ".ppm", ".pnm", ".ras", ".sr"),
)
#: suffixes of images that cannot be read: of phones, of cameras (Pillow reads some as their thumbnail), and of editors
UNREADABLE_SUFFIXES = (
    *(".heic", ".heif", ".hif", ".jxl", ".jxr"),
    *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".srw", ".orf", ".rw2", ".raf", ".pef"),
    *(".x3f", ".3fr", ".iiq", ".erf", ".kdc", ".mrw", ".rwl", ".raw"),
    *(".pdf", ".psd", ".psb", ".svg", ".eps", ".ai", ".xcf", ".tga", ".exr", ".hdr", ".ico", ".icns", ".dds", ".dcm"),
)
VIDEO_SUFFIXES = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv")
#: kinds of files that users rename, by the position and the bytes that tell them
FOREIGN_KINDS = {
    (4, b"ftyphei"): "an HEIC image",
    (4, b"ftypmif1"): "an HEIC image",
    (0, b"%PDF"): "a PDF document",
    (0, b"8BPS"): "a Photoshop document",
    (0, b"%!PS"): "a PostScript document",
    (0, b"<svg"): "an SVG drawing",
}
REMEDY = "convert it to JPEG or PNG"
#: images with more pixels are refused before memory is spent on them; the limit at which Pillow refuses them, too
MAX_PIXELS = 178_956_970
LARGE_FILE = 1 << 26  # bytes; Pillow checks the header of larger files before their content is read


def check_is_readable_kind(path: str | Path) -> None:
    """Raises ImageError if the suffix of ``path`` is that of images which cannot be read."""
    suffix = Path(path).suffix
    if suffix.lower() in UNREADABLE_SUFFIXES:
        raise ImageError(f"{path} cannot be read, as no {suffix} file can: {REMEDY}.")


def check_regular_file(path: str | Path) -> int:
    """Returns the size of a file in bytes, without opening it: opening a FIFO waits for a writer.

    Raises:
        ImageError: the file does not exist, or is a folder, a FIFO, a socket or a device.
    """
    try:
        status = Path(path).stat()
    except FileNotFoundError as error:
        links = "links to a file that " if Path(path).is_symlink() else ""
        raise ImageError(f"{path} {links}does not exist.") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a FIFO, a socket or a device"
        raise ImageError(f"{path} cannot be read: it is {kind}, not an ordinary file.")
    return status.st_size


def read_file(path: str | Path) -> bytes:
    """Reads the bytes of an image file.

    Raises:
        ImageError: it cannot be read, see :func:`check_regular_file`, or it is large and not an image within the limit.
    """
    if check_regular_file(path) > LARGE_FILE:
        check_large_file(path)
    try:
        with io.FileIO(path) as file:  # a buffer would cost more time than the read itself
            return file.readall()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}.") from error


def check_large_file(path: str | Path) -> None:
    """Checks the header of an image file without reading the rest.

    Raises:
        ImageError: it is not the header of an image, or the image has too many pixels.
    """
    try:
        with PIL.Image.open(path, formats=PILLOW_FORMATS) as file:
            size = file.height, file.width
    except Exception as error:  # a damaged header can raise any exception
        raise ImageError(explain_failure(path, error)) from error
    check_pixels(path, size)


def check_pixels(path: str | Path, size: tuple[int, int]) -> None:
    """Raises ImageError if an image of ``size`` (height, width) has too many pixels."""
    height, width = size
    if height * width > MAX_PIXELS:
        raise ImageError(f"{path} has {width}×{height} pixels; at most {MAX_PIXELS:,} can be read.")


def explain_failure(path: str | Path, error: Exception, start: bytes | None = None) -> str:
    """Returns the sentence that says why ``path`` cannot be read as an image.

    Args:
        path: the file.
        error: what a decoder raised.
        start: first bytes of the file; None if they are not known.
    """
    foreign = [kind for (place, mark), kind in FOREIGN_KINDS.items() if start and start.startswith(mark, place)]
    if isinstance(error, PIL.Image.DecompressionBombError):
        return f"{path} has too many pixels; at most {MAX_PIXELS:,} can be read."
    if start == b"":
        reason = "it is empty"
    elif foreign:
        reason = f"it is {foreign[0]}; {REMEDY}"
    elif isinstance(error, PIL.UnidentifiedImageError):
        reason = "its format is unknown, or its beginning is damaged"
    else:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".") or type(error).__name__
    return f"{path} cannot be read as an image: {reason}."
