"""The interface of engines: an exported file and images → arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import UserError
from .description import Description

Array = NDArray[Any]


class Engine(ABC):
    """Runs an exported file.

    Args:
        path: the file.
        threads: number of threads; None leaves it to the engine.

    Attributes:
        name: as users write it, e.g. "onnxruntime".
        packages: import paths of the packages that it needs beside PyTorch.
        description: what the file says about itself.
        path: the file.

    Raises:
        UserError: the file was not written by `litmobile export`, or the engine's package is not installed.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    description: Description

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.threads = threads

    @abstractmethod
    def run(self, images: NDArray[np.uint8]) -> list[Array]:
        """Images ``[N, 3, H, W]`` → outputs in the order of ``description.outputs``, each with N rows."""


class SingleImageEngine(Engine):
    """An engine whose files take one image at a time."""

    def run(self, images: NDArray[np.uint8]) -> list[Array]:
        rows = [self.run_one(images[k : k + 1]) for k in range(len(images))]
        return [np.concatenate(parts) for parts in zip(*rows, strict=True)]

    @abstractmethod
    def run_one(self, image: NDArray[np.uint8]) -> list[Array]:
        """Image ``[1, 3, H, W]`` → outputs with one row."""


def explain_damage(path: Path, kind: str, reason: str) -> UserError:
    """Returns the error for a file of another program, or a damaged one; ``kind`` is e.g. "an ONNX file"."""
    return UserError(f"{path} is not {kind} that can be run here ({reason}); export the run again.")
