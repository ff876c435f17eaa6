"""Small image files for classification tests: one class per folder, single grey values, and empty files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_class_folders(root: Path, images: int, classes: Sequence[str] = ("dark", "light")) -> Path:
    """Write ``images`` noisy images in total into ``root/CLASS`` and return ``root``.

    The brightness depends on the class, so a classifier learns it within a few steps.
    """
    random = np.random.default_rng(0)
    for number in range(images):
        label = number % len(classes)
        (root / classes[label]).mkdir(parents=True, exist_ok=True)
        brightness = 255 * (label + 1) / (len(classes) + 1)
        pixels = random.normal(brightness, 40, size=(40 + number % 3, 50, 3)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(root / classes[label] / f"{number}.png"), pixels)
    return root


def write_grey_image(path: Path, value: int = 0, side: int = 8) -> Path:
    """Write a square image of one grey ``value`` and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((side, side, 3), value, dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix.lower(), pixels)[1].tobytes())
    return path


def write_empty_files(*paths: Path) -> None:
    """Write files without content whose names end like those of images."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
