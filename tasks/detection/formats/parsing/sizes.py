"""Sizes of images that their annotations lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .....errors import ImageError
from ....data.split import AMBIGUOUS, OnInvalid
from ....data.verification import verify_images
from .repairs import Repairs


def measure_missing_sizes(
    sizes: NDArray[np.int64], names: NDArray[np.str_], folder: Path, repairs: Repairs, on_invalid: OnInvalid
) -> NDArray[np.int64]:
    """Returns ``sizes`` ``[I, 2]``, (height, width), with zeros replaced by those of the images as turned.

    Annotations without sizes do not tell whether they were made on the image as turned, so rotated images are counted.
    With ``on_invalid`` "skip", an image that cannot be read keeps its zeros; it is left out before training.

    Raises:
        ImageError: an image cannot be read.
    """
    missing = np.flatnonzero(sizes[:, 0] == 0)
    if not len(missing):
        return sizes
    facts = verify_images(folder, names[missing])
    if facts.errors and on_invalid == "raise":
        raise ImageError(facts.errors[min(facts.errors)])
    sizes = sizes.copy()
    sizes[missing] = facts.sizes
    repairs.count("sizes read from the images", len(missing) - len(facts.errors))
    # images turned by half or mirrored are counted with those whose annotations have a size
    rotated = int(((facts.orientations > 1) & ~facts.is_ambiguous(facts.sizes)).sum())
    if rotated:
        repairs.count(AMBIGUOUS, rotated)
    return sizes
