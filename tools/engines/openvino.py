"""Runs ONNX files with OpenVINO on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .description import Description
from .engine import Array, Engine, explain_damage
from .packages import import_package


class OpenVino(Engine):
    """OpenVINO, which reads ONNX files."""

    name = "openvino"
    packages = ("openvino",)

    def __init__(self, path: Path, threads: int | None = None) -> None:
        super().__init__(path, threads)
        core = import_package("openvino").Core()
        # by default, OpenVINO computes in bfloat16 on processors that can
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        try:
            model = core.read_model(path)
            self.compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().rpartition("\n")[2].rstrip(".")
            raise explain_damage(path, "an ONNX file", reason) from error
        entries = {}
        if model.has_rt_info("framework"):  # absent without metadata
            framework = model.get_rt_info()["framework"]  # get_rt_info("framework") does not return a dictionary
            entries = {key: framework[key].astype(str) for key in framework}
        self.description = Description.from_json(entries, path)

    def run(self, images: NDArray[np.uint8]) -> list[Array]:
        found = self.compiled(images)
        return [np.asarray(found[name]) for name in self.description.outputs]
