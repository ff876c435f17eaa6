"""Reads calibration images."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from torch import Tensor

from ...errors import ImageError, UserError, format_count
from ...tasks.data.files import is_image_file, iterate_files
from ...tasks.images import read_image
from ...tasks.preprocessing import Preprocessing

MAX_LABEL = 64  # label maps have few values, photos have more


def read_calibration_images(path: Path, preprocessing: Preprocessing, most: int) -> Tensor:
    """Reads at most ``most`` images, evenly spaced, as the network sees them.

    Args:
        path: an image, or a folder that is searched with its subfolders.
        preprocessing: of the network.
        most: largest number of images.

    Returns:
        ``[M, 3, H, W]`` uint8.

    Raises:
        UserError: the path does not exist, contains no readable images, or contains label maps.
    """
    files = find_images(path)
    chosen = [files[k] for k in np.linspace(0, len(files) - 1, min(most, len(files))).round().astype(int)]
    photos = [file for file in chosen if not is_label_map(file)]
    if not photos:
        raise UserError(f"--calibrate {path} contains label maps, not photos; pass the folder of the images.")
    if len(photos) < len(chosen):
        number = format_count(len(chosen) - len(photos), "label maps")
        print(f"Left out of the calibration: {number}; pass the folder of the images alone.", file=sys.stderr)
    images: list[Tensor] = []
    failures: list[str] = []
    for file in photos:
        try:
            images.append(torch.from_numpy(preprocessing.apply(read_image(file))).permute(2, 0, 1))
        except ImageError as error:
            failures.append(str(error))
    if not images:
        raise UserError(f"--calibrate {path} contains no image that can be read: {failures[0]}")
    if failures:
        print(f"Left out of the calibration: {format_count(len(failures), 'images')}; {failures[0]}", file=sys.stderr)
    return torch.stack(images)


def find_images(path: Path) -> list[Path]:
    """Returns the images at ``path``, sorted.

    Raises:
        UserError: the path does not exist, or contains no images.
    """
    if not path.exists():
        raise UserError(f"--calibrate {path} does not exist; pass a folder of images.")
    files = [path / name for name in sorted(iterate_files(path)) if is_image_file(name.rpartition("/")[2])]
    files = files if path.is_dir() else [path]
    if not files:
        raise UserError(f"--calibrate {path} contains no images; pass a folder of images like those of the task.")
    return files


def is_label_map(file: Path) -> bool:
    """Whether an image is a label map: one channel, or a palette, with low values only."""
    try:
        with PIL.Image.open(file) as image:
            if image.mode not in ("P", "L", "I;16", "I"):
                return False
            values = np.asarray(image)
    except OSError:
        return False
    return bool(((values < MAX_LABEL) | (values == 255)).all())
