"""Runs ExecuTorch files with its Python runtime."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UserError, first_line
from .description import read_description
from .engine import Array, SingleImageEngine, explain_damage
from .packages import import_package


class ExecuTorch(SingleImageEngine):
    """ExecuTorch, with its portable kernels and XNNPACK's."""

    name = "executorch"
    packages = ("executorch",)

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        library = import_package("executorch.extension.pybindings.portable_lib")
        runtime = import_package("executorch.runtime").Runtime.get()
        self.description = read_description(path)
        check_identifier(path)
        with hide_stderr():  # the first access prints what it does not find out about the processor
            count = library._threadpool_get_thread_count()
        if threads is not None and threads != count:
            library._unsafe_reset_threadpool(threads)  # before a program is loaded, which is when it is safe
        try:
            # holds the program, without which the method would crash
            self.program = runtime.load_program(path)
            self.method = self.program.load_method("forward")
        except (RuntimeError, KeyError) as error:
            raise explain_damage(path, "an ExecuTorch file", first_line(error)) from error

    def run_one(self, image: NDArray[np.uint8]) -> list[Array]:
        found = self.method.execute([torch.from_numpy(np.ascontiguousarray(image))])
        return [values.clone().numpy() for values in found]  # copies, because the next image overwrites them


def check_identifier(path: Path) -> None:
    """Raises UserError if the file does not begin like a program; ExecuTorch ends the process at some of these."""
    with path.open("rb") as file:
        start = file.read(8)
    if start[4:6] != b"ET":  # then the version
        raise UserError(f"{path} is not an ExecuTorch file: it has no program identifier; export the run again.")


@contextmanager
def hide_stderr() -> Iterator[None]:
    """Hides what compiled code writes to standard error."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
