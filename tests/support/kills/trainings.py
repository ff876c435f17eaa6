"""Tiny trainings of the three tasks: options of ``litmobile fit``, with generated data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from litmobile.tools.sample_data import write_shapes

from ..data.images import write_class_folders
from ..data.segmentation import write_block_images
from ..training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER


def detector(root: Path) -> list[str]:
    write_shapes(root, train=6, val=2)
    return [*SMALL, f"--data.root={root}"]


def classifier(root: Path) -> list[str]:
    write_class_folders(root / "train", 16)
    write_class_folders(root / "val", 4)
    return [*SMALL_CLASSIFIER, f"--data.root={root}"]


def segmenter(root: Path) -> list[str]:
    write_block_images(write_block_images(root, "train", 6), "val", 3)
    return [*SMALL_SEGMENTER, f"--data.root={root}"]


#: writes the data of each task into a folder and returns the options for it
TRAININGS: dict[str, Callable[[Path], list[str]]] = {
    "detection": detector,
    "classification": classifier,
    "segmentation": segmenter,
}
