"""Reading pictures from disk, the same way for training, evaluation and prediction."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class ImageError(ValueError):
    """A picture that cannot be read, or is not what it was said to be."""


def read_image(path: str | Path, stored_size: tuple[int, int] | None = None) -> Image:
    """Reads a picture as RGB, whatever its file holds (grey pictures get three equal channels).

    Args:
        path: the file.
        stored_size: (height, width) that boxes of this picture refer to. Cameras store a picture unrotated, with a note
            how to turn it; annotation tools differ in whether they heed it. The reading that has this size is taken.
            None heeds the note.

    Returns:
        ``[H, W, 3]`` uint8.

    Raises:
        ImageError: the file is absent, no picture, or has another size than ``stored_size``.
    """
    turned = cv2.IMREAD_COLOR
    as_stored = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imread(str(path), turned if stored_size is None else as_stored)
    if image is None:
        reason = "cannot be read as a picture" if Path(path).is_file() else "does not exist"
        raise ImageError(f"{path} {reason}.")
    if stored_size is not None and image.shape[:2] != stored_size:
        size = image.shape[:2]
        image = cv2.imread(str(path), turned)
        if image is None or image.shape[:2] != stored_size:
            raise ImageError(
                f"{path} is {size[1]}×{size[0]} pixels, but its annotations say {stored_size[1]}×{stored_size[0]}."
            )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image), dtype=np.uint8)
