"""What every data set promises: annotated images of one split, by index."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from .images import Image

#: what to do with pictures and annotation files that cannot be used
OnInvalid = Literal["raise", "skip"]


class Split(Protocol):
    """Annotated images of one split."""

    @property
    def source(self) -> Path:
        """File or folder that messages name."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the foreground classes."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was mended or left out while reading, a sentence each."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def path(self, index: int) -> Path:
        """File of image ``index``."""
        ...

    def image(self, index: int) -> Image:
        """Image ``index``, ``[H, W, 3]`` uint8 RGB.

        Raises:
            ImageError: it cannot be read, or is not what its annotations say.
            DataError: what belongs to it cannot be read.
        """
        ...

    def keep(self, images: NDArray[np.bool_]) -> Self:
        """The same with some ``images`` ``[I]`` alone."""
        ...
