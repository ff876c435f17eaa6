"""Which operators of ONNX Runtime take the time, and which are slower in int8."""

from __future__ import annotations

import bisect
import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ...engines.onnx_runtime import open_session
from .prepared import Images

WARMUP = 3  # runs that are not counted: they fill caches
RUNS = 20
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


def profile_operators(paths: Sequence[Path], images: Images, threads: int) -> list[dict[str, float]]:
    """Returns the milliseconds of each type of operator in one run of each file, by ONNX Runtime's own profiles.

    Args:
        paths: of ONNX files, which run in turn.
        images: input of each.
        threads: CPU threads.
    """
    with tempfile.TemporaryDirectory() as folder:
        sessions = [open_session(path, threads, Path(folder) / str(k)) for k, path in enumerate(paths)]
        for _ in range(WARMUP + RUNS):
            for session in sessions:
                session.run(None, {"images": images})
        return [read_profile(Path(session.end_profiling())) for session in sessions]


def read_profile(path: Path) -> dict[str, float]:
    """Returns the milliseconds of each type of operator in one run: medians over the runs after the first ones.

    Args:
        path: JSON file of the profile of a session that ran more than :data:`WARMUP` times.
    """
    events = json.loads(path.read_text(encoding="utf-8"))
    starts = sorted(event["ts"] for event in events if event["name"] == "model_run")
    runs = [Counter[str]() for _ in starts]
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            run = runs[max(0, bisect.bisect_right(starts, event["ts"]) - 1)]
            run[name_operator(event["args"]["op_name"])] += event["dur"] / 1000
    kinds = {kind for run in runs for kind in run}
    return {kind: statistics.median(run[kind] for run in runs[WARMUP:]) for kind in kinds}


def name_operator(kind: str) -> str:
    """Returns the name of an operator in ONNX, e.g. "Conv" for ONNX Runtime's QLinearConv and FusedConv."""
    for prefix in PREFIXES:
        kind = kind.removeprefix(prefix)
    return kind


def compare_operators(float_ms: Mapping[str, float], int8_ms: Mapping[str, float]) -> list[OperatorTime]:
    """Compares the times of operators by type; those that lose most in int8 are first."""
    found = [OperatorTime(kind, float_ms.get(kind, 0), int8_ms.get(kind, 0)) for kind in float_ms.keys() | int8_ms]
    return sorted(found, key=lambda time: (-time.loss, time.operator))
