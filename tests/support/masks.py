"""Images with masks: a folder that a network can be trained on in a moment, and a tree as Cityscapes has it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from litmobile.tasks.segmentation.cityscapes import LABEL_IDS

CLASSES = ("dark", "middle", "light")


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write ``pixels`` in folders that are made for them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return path


def write_masked(root: Path, split: str, images: int, unlabelled: bool = False) -> Path:
    """Write ``images`` and masks of ``split`` into ``root``, of several sizes; brightness tells the class of a block.

    A row of each mask has no class, and all of them where ``unlabelled``. Gives ``root``.
    """
    random = np.random.default_rng(images)
    for number in range(images):
        labels = random.integers(len(CLASSES), size=(3, 4)).repeat(16, axis=0).repeat(14, axis=1).astype(np.uint8)
        labels = labels[: 48 - number % 3]
        grey = random.normal(50 + 75 * labels[:, :, None], 15, size=(*labels.shape, 3)).clip(0, 255)
        write_png(root / "images" / split / f"{number}.png", grey.astype(np.uint8))
        labels[: None if unlabelled else 1] = 255
        write_png(root / "masks" / split / f"{number}.png", labels)
    (root / "classes.txt").write_text("\n".join(CLASSES))
    return root


def write_cityscapes(root: Path, split: str, images: int, size: tuple[int, int] = (32, 48)) -> Path:
    """Write pictures and masks with all 34 label ids but those of wall, bus and train; gives ``root``."""
    random = np.random.default_rng(0)
    ids = np.array([k for k in range(34) if k not in (LABEL_IDS["wall"], LABEL_IDS["bus"], LABEL_IDS["train"])])
    for number in range(images):
        city = ("aachen", "bochum")[number % 2]
        name = f"{city}_{number:06d}_000019"
        mask = random.choice(ids, size=(size[0] // 4, size[1] // 4)).repeat(4, axis=0).repeat(4, axis=1)
        picture = random.integers(256, size=(*size, 3), dtype=np.uint8)
        write_png(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", picture)
        write_png(root / "gtFine" / split / city / f"{name}_gtFine_labelIds.png", mask.astype(np.uint8))
    return root
