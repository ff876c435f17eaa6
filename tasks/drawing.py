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
#: saturation and value of colours
DEPTHS = ((0.85, 1.0), (0.9, 0.6), (0.4, 1.0), (0.45, 0.65))
NO_LETTER = "\ufffe"


def palette(count: int) -> list[Colour]:
    """That many colours, told apart by hue, and after every eight of them by depth."""
    colours: list[Colour] = []
    for k in range(count):
        hue = (0.05 + k * 0.61803) % 1  # the golden ratio keeps neighbours apart, and brings the ninth near the first
        saturation, value = DEPTHS[k // 8 % len(DEPTHS)]
        red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
        colours.append((red, green, blue))
    return colours


@functools.cache
def font(size: int, letters: str = "") -> Font:
    """Pillow's own font, the same on every machine; one of the system's where that one lacks ``letters``.

    It has those of ASCII alone. Where no font has all letters, that is taken which draws boxes for the fewest.
    """
    own = PIL.ImageFont.load_default(size)
    if letters.isascii():
        return own
    return min((own, *system_fonts(size)), key=lambda found: lacking(found, letters))


def system_fonts(size: int) -> Iterator[Font]:
    """Those of :data:`SYSTEM_FONTS` that this machine has."""
    for name in SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            yield PIL.ImageFont.truetype(name, size)


def lacking(font: Font, letters: str) -> int:
    """How many of ``letters`` are not in ``font``: what a font lacks it draws as it draws what is no letter."""

    def drawn(letter: str) -> bytes:
        return bytes(font.getmask(letter))  # pyright: ignore[reportArgumentType] — Pillow's stub does not say it can

    return list(map(drawn, set(letters))).count(drawn(NO_LETTER))


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
