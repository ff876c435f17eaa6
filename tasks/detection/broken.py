"""Finding pictures that cannot be used before a training trips over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..images import ImageError, read_image
from .annotations import Annotations


def broken_pictures(
    annotations: Annotations, progress: Callable[[Iterable[str]], Iterable[str]] = iter
) -> dict[int, str]:
    """Reads every picture: what is wrong, by index, with those that cannot be read or are of another size than said.

    Args:
        annotations: of the pictures.
        progress: sees every picture's fault pass by, an empty one for a whole picture, such as a progress bar does.
    """

    def fault(index: int) -> str:
        try:
            read_image(annotations.path(index), annotations.size(index))
        except ImageError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        faults = progress(threads.map(fault, range(len(annotations))))
        return {index: text for index, text in enumerate(faults) if text}


def without_broken(annotations: Annotations) -> tuple[Annotations, tuple[str, ...]]:
    """Annotations without the pictures that cannot be used, and a sentence for each of those."""
    faults = broken_pictures(annotations)
    whole = np.ones(len(annotations), dtype=bool)
    whole[list(faults)] = False
    return annotations.keep(images=whole), tuple(faults.values())
