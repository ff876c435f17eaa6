"""What drawn pictures of all tasks share: colours, letters, files."""

from __future__ import annotations

import bisect
import colorsys
import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import cv2
import PIL.ImageFont

from .images import Image

Colour = tuple[int, int, int]
Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont
#: of Linux, macOS and Windows, those with most letters first
SYSTEM_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "msyh.ttc", "DejaVuSans.ttf", "arial.ttf")
NO_LETTER = "\ufffe"


def palette(count: int) -> list[Colour]:
    """That many colours, told apart by hue."""
    hues = [(0.05 + k * 0.61803) % 1 for k in range(count)]  # the golden ratio keeps neighbours apart
    return [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.85, 1.0)) for hue in hues]  # pyright: ignore[reportReturnType] — a tuple of a generator is one of any length to it


@functools.cache
def font(size: int, letters: str = "") -> Font:
    """Pillow's own font, the same on every machine; one of the system's where that one lacks ``letters``.

    It has those of ASCII alone. Where no font has all letters, Pillow's own draws boxes for them.
    """
    own = PIL.ImageFont.load_default(size)
    if letters.isascii():
        return own
    return next((found for found in system_fonts(size) if has_all(found, letters)), own)


def system_fonts(size: int) -> Iterator[Font]:
    """Those of :data:`SYSTEM_FONTS` that this machine has."""
    for name in SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            yield PIL.ImageFont.truetype(name, size)


def has_all(font: Font, letters: str) -> bool:
    """Whether ``font`` has all ``letters``: what a font lacks it draws as it draws what is no letter."""

    def drawn(letter: str) -> bytes:
        return bytes(font.getmask(letter))  # pyright: ignore[reportArgumentType] — Pillow's stub does not say it can

    return drawn(NO_LETTER) not in map(drawn, set(letters))


def shortened(text: str, letters: Font, width: float) -> str:
    """``text``, its end cut off where it is wider than ``width`` pixels."""
    if letters.getlength(text) <= width:
        return text
    end = bisect.bisect_right(range(len(text)), width, key=lambda end: letters.getlength(text[:end] + "…"))
    return text[: max(0, end - 1)] + "…"


def save_picture(picture: Image, path: Path) -> None:
    """Writes ``picture`` ``[H, W, 3]`` uint8 RGB as a file.

    Raises:
        OSError: the format cannot hold it, or the file cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} cannot be written as a picture of {picture.shape[1]}×{picture.shape[0]} pixels.")
