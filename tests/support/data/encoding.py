"""Scenes as encoded files of every format, and with an orientation wherever a file can store one."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

# options for Pillow to write files of every format; EXACT ones keep every value
EXACT: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True, "exact": True},
    "PPM": {},
}
LOSSY: dict[str, dict[str, Any]] = {"JPEG": {}, "AVIF": {}, "JPEG2000": {"irreversible": True}}
FORMATS = EXACT | LOSSY

#: where an orientation is stored
ORIENTED = (
    *("JPEG exif", "PNG exif", "TIFF exif", "WEBP exif", "AVIF exif"),
    *("JPEG xmp", "PNG xmp", "TIFF xmp", "WEBP xmp", "AVIF xmp"),
    *("PNG compressed xmp", "PNG raw profile", "PNG late exif", "TIFF 16-bit"),
)


def make_scene(height: int = 40, width: int = 60) -> Image.Image:
    """Make an image of smoothly changing colours that differ at every border."""
    y, x = np.mgrid[:height, :width]
    red, green, blue = 255 * y / height, 255 * x / width, 128 + 100 * np.sin(x / 7 + y / 5)
    return Image.fromarray(np.stack((red, green, blue), axis=2).astype(np.uint8))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode ``image`` in a format of :data:`FORMATS`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **FORMATS.get(kind, {}), **options)
    return buffer.getvalue()


def make_exif(orientation: int) -> Image.Exif:
    """Make EXIF data with only an orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def encode_oriented(where: str, orientation: int, scene: Image.Image | None = None) -> bytes:
    """Encode a scene with an ``orientation`` in the place that an entry of :data:`ORIENTED` names."""
    scene = make_scene() if scene is None else scene
    kind, _, place = where.partition(" ")
    exif, xmp = make_exif(orientation), f'<rdf tiff:Orientation="{orientation}"/>'
    if place == "exif":
        return encode(scene, kind, exif=exif)
    if place == "16-bit":
        wide = Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257)
        return encode(wide, kind, exif=exif)
    if place == "late exif":  # after the pixels, as PNG allows
        data = encode(scene, kind)
        return data[:-12] + make_png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + data[-12:]
    if kind == "PNG":
        notes = PngImagePlugin.PngInfo()
        if place == "raw profile":
            content = exif.tobytes()
            notes.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}\n", zip=True)
        else:
            notes.add_itxt("XML:com.adobe.xmp", xmp, zip="compressed" in place)
        return encode(scene, kind, pnginfo=notes)
    if kind == "TIFF":
        return encode(scene, kind, tiffinfo={700: xmp.encode()})
    return encode(scene, kind, xmp=xmp.encode())


def make_png_chunk(kind: bytes, content: bytes) -> bytes:
    """Make a chunk of a PNG file with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def make_png(width: int, height: int, *chunks: bytes, rows: bytes = b"") -> bytes:
    """Make a PNG that claims a size, with the given ``chunks`` and compressed ``rows``."""
    header = make_png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + make_png_chunk(b"IDAT", rows) + make_png_chunk(b"IEND", b"")
    )
