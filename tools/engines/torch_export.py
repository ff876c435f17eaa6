"""Runs files of torch.export with PyTorch on the CPU."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import first_line
from ..library_messages import raise_log_level
from .description import read_description
from .engine import Array, Engine, explain_damage


class TorchExport(Engine):
    """PyTorch, which runs the exported graph without the code of the network."""

    name = "torch"

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        self.description = read_description(path)
        try:
            with raise_log_level(logging.CRITICAL, "torch.export"):  # prints tracebacks of files that it cannot read
                program = torch.export.load(path)
        except Exception as error:  # zip files, JSON and versions fail with exceptions of their own
            raise explain_damage(path, "a file of torch.export", first_line(error)) from error
        (images,) = (node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs)
        self.takes_any_batch = not isinstance(images.meta["val"].shape[0], int)
        self.module = program.module()

    @torch.inference_mode()
    def run(self, images: NDArray[np.uint8]) -> list[Array]:
        whole = torch.from_numpy(np.ascontiguousarray(images))
        with use_threads(self.threads):
            parts = [self.module(part) for part in ([whole] if self.takes_any_batch else whole.split(1))]
        return [torch.cat(values).numpy() for values in zip(*parts, strict=True)]


@contextmanager
def use_threads(threads: int | None) -> Iterator[None]:
    """Lets PyTorch use this number of threads inside the block; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if threads is None else threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
