"""Finding pictures that cannot be used before a training trips over them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..images import ImageError, read_image
from .annotations import Annotations


def broken_pictures(annotations: Annotations) -> dict[int, str]:
    """Reads every picture: what is wrong, by index, with those that cannot be read or are of another size than said."""

    def fault(index: int) -> str:
        try:
            read_image(annotations.path(index), annotations.size(index))
        except ImageError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor() as threads:  # decoding leaves Python to the others
        return {index: text for index, text in enumerate(threads.map(fault, range(len(annotations)))) if text}


def without_broken(annotations: Annotations) -> tuple[Annotations, tuple[str, ...]]:
    """Annotations without the pictures that cannot be used, and a sentence for each of those."""
    faults = broken_pictures(annotations)
    whole = np.ones(len(annotations), dtype=bool)
    whole[list(faults)] = False
    return annotations.keep(images=whole), tuple(faults.values())
