"""A folder for each class, with pictures that a classifier can be trained on in a moment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_folders(root: Path, train: int, val: int) -> None:
    """Write noisy pictures of two classes, of which each split has ``train`` and ``val`` in all."""
    random = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(count):
            name, brightness = (("dark", 90), ("light", 160))[number % 2]
            (root / split / name).mkdir(parents=True, exist_ok=True)
            pixels = random.normal(brightness, 40, size=(40 + number % 3, 50, 3)).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(root / split / name / f"{number}.png"), pixels)
