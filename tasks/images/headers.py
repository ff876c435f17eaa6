"""Reads the size and the orientation of images from the headers of their files, without decoding them."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import PIL.ExifTags
import PIL.Image
import PIL.TiffImagePlugin

# Pillow warns from half of the pixels on that are possible; images with more are refused in .files
warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)

#: formats that Pillow may open; others are left out because Pillow runs Ghostscript for EPS, for example
PILLOW_FORMATS = (
    *("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "DIB", "TIFF"),
    *("JPEG2000", "PPM", "SUN"),
)
JPEG, PNG, BMP = b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"BM"
START_OF_SCAN, APP1 = 0xDA, 0xE1
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of segments with the size of the image
JPEG_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD8), 0xFF}  # markers without a segment, and fill bytes
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"  # how a JPEG's metadata begin
PNG_XMP, PNG_EXIF = b"XML:com.adobe.xmp", (b"Raw profile type exif", b"Raw profile type APP1")
MAX_METADATA = 1 << 22  # bytes to which the compressed text of a PNG is expanded
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation(?:\s*=\s*["']|>)\s*([0-9])""")
EXIF_TYPES = {1: "B", 3: "H", 4: "I"}  # whole numbers of one, two and four bytes


class ImageHeader(NamedTuple):
    """Facts in the header of an image file.

    Attributes:
        size: (height, width) as stored.
        orientation: how the stored image must be turned or mirrored, 1 … 8 as in EXIF; 1 leaves it as it is.
        channels: of a JPEG; 0 for other formats.
    """

    size: tuple[int, int]
    orientation: int = 1
    channels: int = 0

    @property
    def rotated_size(self) -> tuple[int, int]:
        """(height, width) after the orientation is applied."""
        height, width = self.size
        return (width, height) if self.orientation > 4 else self.size


def read_header(data: bytes) -> ImageHeader:
    """Reads the header of an encoded image.

    Common formats are read here, which takes microseconds; Pillow reads the others and those with a damaged header.

    Raises:
        Exception: of any type, from Pillow, if it cannot read the header either.
    """
    with contextlib.suppress(ValueError, IndexError, struct.error):
        if data.startswith(JPEG):
            return read_jpeg_header(data)
        if data.startswith(PNG):
            return read_png_header(data)
        if data.startswith(BMP):
            return read_bmp_header(data)
        if data.startswith(b"RIFF"):
            return read_webp_header(data)
    with PIL.Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as file:
        return ImageHeader(get_stored_size(file), check_orientation(file.getexif().get(PIL.ExifTags.Base.Orientation)))


def get_stored_size(file: PIL.Image.Image) -> tuple[int, int]:
    """Returns (height, width) of an opened file as stored; Pillow's own size of a TIFF is that of the rotated image."""
    if isinstance(file, PIL.TiffImagePlugin.TiffImageFile):
        return file.tag_v2[PIL.ExifTags.Base.ImageLength], file.tag_v2[PIL.ExifTags.Base.ImageWidth]
    return file.height, file.width


def read_jpeg_header(data: bytes) -> ImageHeader:
    """Reads the segments of a JPEG before its first scan."""
    height, width, channels, exif, xmp = 0, 0, 0, b"", b""
    position = len(JPEG)
    while True:
        position = data.index(b"\xff", position) + 1
        marker = data[position]
        if marker in JPEG_WITHOUT_LENGTH:
            continue
        if marker == START_OF_SCAN:
            break
        (length,) = struct.unpack_from(">H", data, position + 1)
        if marker in JPEG_FRAMES:
            height, width, channels = struct.unpack_from(">HHB", data, position + 4)
        elif marker == APP1:
            content = data[position + 3 : position + 1 + length]
            if content.startswith(EXIF):
                exif += content.removeprefix(EXIF)
            elif content.startswith(XMP):
                xmp = content
        position += 1 + length
    if not height or not width:
        raise ValueError("no size before the first scan")
    return ImageHeader((height, width), find_orientation(exif, xmp), channels)


def read_png_header(data: bytes) -> ImageHeader:
    """Reads the first chunk of a PNG, and those with metadata, which may follow the pixels."""
    width, height = struct.unpack_from(">II", data, data.index(b"IHDR", 8, 16) + 4)
    exif = profile = xmp = b""
    for kind, content in iterate_png_chunks(data):
        if kind == b"eXIf":
            exif = bytes(content)
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, text = bytes(content).partition(b"\0")
            if keyword == PNG_XMP:
                xmp = expand_text(kind, text)
            elif keyword in PNG_EXIF:
                profile = decode_raw_profile(expand_text(kind, text))
    return ImageHeader((height, width), find_orientation(exif or profile, xmp))


def iterate_png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Yields the type and the content of every chunk before the last."""
    view, position, kind = memoryview(data), len(PNG), b""
    while kind != b"IEND" and position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, view[position + 8 : position + 8 + length]
        position += length + 12


def expand_text(kind: bytes, text: bytes) -> bytes:
    """Returns the text of a PNG's chunk of type ``kind``: what follows the keyword, expanded if it is compressed."""
    is_compressed = kind == b"zTXt" or (kind == b"iTXt" and text[:1] == b"\1")
    text = text[1:] if kind == b"zTXt" else text[2:].split(b"\0", 2)[-1] if kind == b"iTXt" else text
    if not is_compressed:
        return text
    try:
        return zlib.decompressobj().decompress(text, MAX_METADATA)
    except zlib.error:
        return b""


def decode_raw_profile(text: bytes) -> bytes:
    """Decodes metadata as ImageMagick writes them: a name, a length and hexadecimal digits in lines."""
    digits = b"".join(text.split(b"\n")[3:])
    with contextlib.suppress(ValueError):
        return bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii", "replace")).removeprefix(EXIF)
    return b""


def read_bmp_header(data: bytes) -> ImageHeader:
    """Reads the size of a BMP; rows that begin at the top have a negative height."""
    is_old = data[14] == 12
    width, height = struct.unpack_from("<HH" if is_old else "<ii", data, 18)
    return ImageHeader((abs(height), width))


def read_webp_header(data: bytes) -> ImageHeader:
    """Reads the size of a WebP without metadata.

    Raises:
        ValueError: the file has metadata, or is not a WebP.
    """
    kind = data[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return ImageHeader((height & 0x3FFF, width & 0x3FFF))
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return ImageHeader(((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1))
    raise ValueError("a WebP with metadata")


def find_orientation(exif: bytes, xmp: bytes) -> int:
    """Returns the orientation in ``exif``, or else in ``xmp``, as Pillow does; 1 if neither has a valid one."""
    orientation = read_exif_orientation(exif) if exif else None
    if orientation is None and (found := XMP_ORIENTATION.search(xmp)):
        orientation = int(found[1])
    return check_orientation(orientation)


def check_orientation(orientation: object) -> int:
    """Returns ``orientation``, or 1 if it is not in 1 … 8."""
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def read_exif_orientation(exif: bytes) -> int | None:
    """Returns the orientation tag of EXIF data without their first six bytes; None if it is absent or damaged.

    OpenCV and Pillow could read it, too, but not alike for every format and damage.
    """
    exif = exif.removeprefix(EXIF)
    with contextlib.suppress(KeyError, struct.error):
        order = {b"II": "<", b"MM": ">"}[exif[:2]]
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, position)
            if tag == PIL.ExifTags.Base.Orientation:
                return struct.unpack_from(order + EXIF_TYPES[kind], exif, position + 8)[0]
    return None
