"""What drawn pictures of all tasks share: colours, letters, files."""

from __future__ import annotations

import colorsys
import functools
from pathlib import Path

import cv2
import PIL.ImageFont

from .images import Image

Colour = tuple[int, int, int]


def palette(count: int) -> list[Colour]:
    """That many colours, told apart by hue."""
    # the checker takes a tuple of a generator for one of any length
    hues = [(0.05 + k * 0.61803) % 1 for k in range(count)]  # the golden ratio keeps neighbours apart
    return [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue, 0.85, 1.0)) for hue in hues]  # pyright: ignore[reportReturnType]


@functools.cache
def font(size: int) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    """Pillow's own font, the same on every machine."""
    return PIL.ImageFont.load_default(size)


def save_picture(picture: Image, path: Path) -> None:
    """Writes ``picture`` ``[H, W, 3]`` uint8 RGB as a file.

    Raises:
        OSError: the format cannot hold it, or the file cannot be written.
    """
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise OSError(f"{path} cannot be written as a picture of {picture.shape[1]}×{picture.shape[0]} pixels.")
