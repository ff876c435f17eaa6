"""A folder for each class, with pictures that a classifier can be trained on in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_folders(root: Path, images: int, classes: Sequence[str] = ("dark", "light")) -> Path:
    """Write noisy pictures into ``root/CLASS``, ``images`` in all, whose brightness tells the class; gives ``root``."""
    random = np.random.default_rng(0)
    for number in range(images):
        label = number % len(classes)
        (root / classes[label]).mkdir(parents=True, exist_ok=True)
        brightness = 255 * (label + 1) / (len(classes) + 1)
        pixels = random.normal(brightness, 40, size=(40 + number % 3, 50, 3)).clip(0, 255).astype(np.uint8)
        cv2.imwrite(str(root / classes[label] / f"{number}.png"), pixels)
    return root
