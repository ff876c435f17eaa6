"""Which operators of ONNX Runtime take the time, and which are slower in int8."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...engines.engine import import_package

RUNS = 20  # that are profiled, after as many that are not counted
#: ONNX Runtime's names for operators that do the same work in another form
PREFIXES = ("com.microsoft.", "QLinear", "Nhwc", "Fused")


class OperatorTime(NamedTuple):
    """Time of all operators of one type, in one run.

    Attributes:
        operator: ONNX's name of the type, e.g. "Conv".
        float_ms: milliseconds in the float file.
        int8_ms: milliseconds in the int8 file.
    """

    operator: str
    float_ms: float
    int8_ms: float

    @property
    def loss(self) -> float:
        """Milliseconds that int8 takes longer."""
        return self.int8_ms - self.float_ms


def profile_operators(path: Path, images: np.ndarray, threads: int) -> dict[str, float]:
    """Returns the milliseconds of each type of operator in one run of an ONNX file, by ONNX Runtime's own profile.

    Args:
        path: the file.
        images: its input.
        threads: CPU threads.
    """
    onnxruntime = import_package("onnxruntime", "onnx")
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # only errors
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        for _ in range(2 * RUNS):
            session.run(None, {"images": images})
        return read_profile(Path(session.end_profiling()))


def read_profile(path: Path) -> dict[str, float]:
    """Returns the milliseconds of each type of operator in one run, from a profile of ONNX Runtime.

    The first half of the runs is not counted: it fills caches.

    Args:
        path: JSON file of a session's profile.
    """
    events = json.loads(path.read_text(encoding="utf-8"))
    starts = sorted(event["ts"] for event in events if event["name"] == "model_run")
    counted = starts[len(starts) // 2 :]
    times: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time") and event["ts"] >= counted[0]:
            times[name_operator(event["args"]["op_name"])] += event["dur"] / 1000
    return {operator: milliseconds / len(counted) for operator, milliseconds in times.items()}


def name_operator(kind: str) -> str:
    """Returns the name of an operator in ONNX, e.g. "Conv" for ONNX Runtime's QLinearConv and FusedConv."""
    for prefix in PREFIXES:
        kind = kind.removeprefix(prefix)
    return kind


def compare_operators(float_ms: Mapping[str, float], int8_ms: Mapping[str, float]) -> list[OperatorTime]:
    """Compares the times of operators by type; those that lose most in int8 are first."""
    found = [OperatorTime(kind, float_ms.get(kind, 0), int8_ms.get(kind, 0)) for kind in float_ms.keys() | int8_ms]
    return sorted(found, key=lambda time: (-time.loss, time.operator))
