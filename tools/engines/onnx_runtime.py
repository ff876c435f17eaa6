"""Runs ONNX files with ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import first_line
from .description import Description
from .engine import Array, Engine, explain_damage
from .packages import import_package


class OnnxRuntime(Engine):
    """ONNX Runtime."""

    name = "onnxruntime"
    packages = ("onnxruntime",)

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        import_package("onnxruntime")  # outside the try, because it has an error of its own
        try:
            self.session = open_session(path, threads)
        except Exception as error:  # onnxruntime has an exception of its own for every status
            raise explain_damage(path, "an ONNX file", first_line(error)) from error
        entries = self.session.get_modelmeta().custom_metadata_map
        self.description = Description.from_json(entries, path)

    def run(self, images: NDArray[np.uint8]) -> list[Array]:
        return self.session.run(list(self.description.outputs), {"images": images})


def open_session(path: Path, threads: int | None = None, profile: Path | None = None) -> Any:
    """Opens a file on the CPU.

    Args:
        path: the file.
        threads: number of threads; None leaves it to ONNX Runtime.
        profile: if set, runs are profiled, and the profile's file name begins with this path.
    """
    onnxruntime = import_package("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # only errors
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
