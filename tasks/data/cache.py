"""Files with what is computed once per machine: their folder, and arrays in them that processes share.

A pickled array carries the path of its file instead of its content.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

CACHE_VARIABLE = "LITMOBILE_CACHE"


def cache_folder(kind: str) -> Path:
    """Returns the folder of cached files of one ``kind``; it may not exist yet.

    It is in ``$LITMOBILE_CACHE``, or else in the user's cache folder. Deleting it costs only time.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own) / kind
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litmobile" / kind


class MappedArray(np.memmap[Any, Any]):
    """A read-only array in a ``.npy`` file; views and copies of it are pickled as ordinary arrays."""

    path: Path | None

    def __array_finalize__(self, obj: Any) -> None:
        super().__array_finalize__(obj)  # pyright: ignore[reportCallIssue] — the stub of NumPy's memmap lacks it
        self.path = None  # of a view; load_array sets it

    def __reduce__(self) -> Any:
        if self.path is not None:
            return load_array, (self.path,)
        return np.array(self).__reduce__()


def load_array(path: Path) -> NDArray[Any]:
    """Maps the array in the file at ``path``.

    Raises:
        OSError: the file cannot be read.
        ValueError: it contains no array, or the array is incomplete.
    """
    try:
        array = cast(MappedArray, np.load(path, mmap_mode="r", allow_pickle=False).view(MappedArray))
    except EOFError as error:
        raise ValueError(f"{path} is empty.") from error
    array.path = path
    return array
