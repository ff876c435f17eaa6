"""Pictures that tests write."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_picture(path: Path, value: int = 0, side: int = 8) -> Path:
    """Write a picture of one grey ``value``, in folders that are made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side, 3), value, dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), pixels)[1].tobytes())
    return path


def write_empty(*paths: Path) -> None:
    """Write files without content, which are called as pictures are."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
