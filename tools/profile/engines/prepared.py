"""What an engine needs, and what it gives to be measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

Images = NDArray[np.uint8]  # [N, 3, H, W]


class Settings(NamedTuple):
    """How engines run.

    Attributes:
        device: of PyTorch's engines; the network is on it.
        threads: CPU threads of each engine.
        folder: for the files of one network; engines share them.
    """

    device: torch.device
    threads: int
    folder: Path


class Prepared(NamedTuple):
    """A network that is ready to be measured on an engine.

    Attributes:
        place: puts images where ``run`` takes them from, outside the measured time: their device and memory layout.
        run: placed images → predictions, decoded as in an exported file; returns when they are there.
        file: exported file; None without one.
    """

    place: Callable[[Images], Any]
    run: Callable[[Any], object]
    file: Path | None = None


def place_images(images: Images, device: torch.device) -> torch.Tensor:
    """Moves images to ``device`` in channels-last memory, in which images are read."""
    return torch.from_numpy(images).to(device, memory_format=torch.channels_last)


def wait_for(device: torch.device) -> None:
    """Returns when a GPU has finished; a CPU has always."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def make_noise(batch: int, size: tuple[int, int]) -> Images:
    """Makes images of noise of ``size`` (height, width)."""
    return np.random.default_rng(0).integers(256, size=(batch, 3, *size), dtype=np.uint8)
