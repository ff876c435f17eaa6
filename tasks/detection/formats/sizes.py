"""Sizes of images that their annotations lack."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...data.images import EncodedImage
from .repairs import Repairs


def measure_missing_sizes(
    sizes: NDArray[np.int64], names: NDArray[np.str_], folder: Path, repairs: Repairs
) -> NDArray[np.int64]:
    """Returns ``sizes`` ``[I, 2]``, (height, width), with zeros replaced by the sizes of the image files.

    Raises:
        DataError: an image cannot be read.
    """
    missing = np.flatnonzero(sizes[:, 0] == 0)
    if not len(missing):
        return sizes
    sizes = sizes.copy()
    with ThreadPoolExecutor() as threads:
        sizes[missing] = list(threads.map(lambda index: EncodedImage.read(folder / str(names[index])).size, missing))
    repairs.count("sizes read from the images", len(missing))
    return sizes
