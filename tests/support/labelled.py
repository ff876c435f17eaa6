"""A folder of pictures for each class, which a classifier can learn from in a few steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_folders(root: Path, classes: Sequence[str], count: int, size: int = 40) -> Path:
    """Write ``count`` noisy pictures for each class, whose colour tells it, into ``root/CLASS``; gives ``root``."""
    random = np.random.default_rng(len(classes))
    colours = random.integers(0, 256, (len(classes), 3))
    for name, colour in zip(classes, colours, strict=True):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(colour + random.normal(0, 40, (size, size + 8, 3)), 0, 255).astype(np.uint8)
            (root / name / f"{number}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return root
