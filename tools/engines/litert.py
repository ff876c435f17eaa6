"""Runs LiteRT files on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import first_line
from .description import read_description
from .engine import Array, SingleImageEngine, explain_damage
from .packages import import_package


class LiteRt(SingleImageEngine):
    """LiteRT's interpreter, with XNNPACK's kernels."""

    name = "litert"
    packages = ("ai_edge_litert",)

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        library = import_package("ai_edge_litert.interpreter")
        self.description = read_description(path)
        try:
            self.interpreter = library.Interpreter(str(path), num_threads=threads)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise explain_damage(path, "a LiteRT file", first_line(error)) from error
        (images,) = self.interpreter.get_input_details()
        self.input = images["index"]
        # the order of outputs in the file is free; their names in the signature are "output_0", "output_1" …
        (signature,) = self.interpreter._get_full_signature_list().values()
        self.outputs = [index for _, index in sorted(signature["outputs"].items())]

    def run_one(self, image: NDArray[np.uint8]) -> list[Array]:
        self.interpreter.set_tensor(self.input, np.ascontiguousarray(image))
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]
