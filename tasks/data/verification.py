"""Verifies images before training: decodes each file once per machine, and keeps its size, orientation and hash."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..images import EncodedImage, Image
from .measurement import measure_files

IMAGE_ROW = np.dtype([("height", "<i4"), ("width", "<i4"), ("orientation", "u1"), ("hash", "<u8")])
VERSION = 2  # a change to how an image is read or measured increases it, so that all are verified again
HASH_ROWS, HASH_COLUMNS = 8, 8


class ImageFacts(NamedTuple):
    """What is known about the images of a split, ``[N]`` each; zeros for images that cannot be used.

    Attributes:
        sizes: (height, width) in pixels after the orientation in the metadata is applied, ``[N, 2]`` int64.
        orientations: EXIF orientation, 1 … 8, uint8.
        hashes: see :func:`difference_hash`, uint64.
        errors: one sentence for each image that cannot be used, by index.
    """

    sizes: NDArray[np.int64]
    orientations: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    errors: dict[int, str]

    @property
    def stored_sizes(self) -> NDArray[np.int64]:
        """(height, width) before the orientation is applied, ``[N, 2]``."""
        return np.where(self.orientations[:, None] > 4, self.sizes[:, ::-1], self.sizes)

    def fits(self, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of the annotated ``sizes`` ``[N, 2]`` is that of its image, as rotated or as stored."""
        return (sizes == self.sizes).all(axis=1) | (sizes == self.stored_sizes).all(axis=1)

    def is_ambiguous(self, sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether an image has an orientation, but the annotated ``sizes`` ``[N, 2]`` fit it rotated and as stored."""
        fits_both = (sizes == self.sizes).all(axis=1) & (sizes == self.stored_sizes).all(axis=1)
        return (self.orientations > 1) & fits_both


def verify_images(folder: Path, names: NDArray[np.str_]) -> ImageFacts:
    """Decodes all images once per machine; later calls read the facts of unchanged files from the cache.

    Args:
        folder: folder of the images.
        names: file names relative to ``folder``, ``[N]``.
    """
    rows, errors = measure_files(folder, names, measure_image, IMAGE_ROW, f"images {VERSION}")
    sizes = np.stack((rows["height"], rows["width"]), axis=1).astype(np.int64)
    return ImageFacts(sizes, rows["orientation"], rows["hash"], errors)


def measure_image(path: Path) -> tuple[int, int, int, int]:
    """Returns height, width, orientation and hash of an image.

    The whole image is decoded, as in training, because a decoder finds damage only in what it decodes.

    Raises:
        ImageError: the image cannot be used.
    """
    image = EncodedImage.read(path)
    height, width = image.pixels.shape[:2]
    return height, width, image.orientation, difference_hash(image.pixels)


def difference_hash(image: Image) -> int:
    """Returns 64 bits: whether the brightness increases from each cell to its right neighbour, in 8 rows of 9 cells.

    It does not depend on the size of the image, and hardly on compression, brightness and contrast. 0 if no row gets
    brighter anywhere, as in an image of one colour.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cells = cv2.resize(grey, (HASH_COLUMNS + 1, HASH_ROWS), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes(), "little")
