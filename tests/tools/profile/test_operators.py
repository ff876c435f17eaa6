"""Profiles of ONNX Runtime say which operators are slower in int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from litmobile.tools.profile.engines.operators import (
    RUNS,
    WARMUP,
    OperatorTime,
    compare_operators,
    name_operator,
    profile_operators,
    read_profile,
)
from litmobile.tools.profile.engines.prepared import make_noise

Event = dict[str, Any]


def make_profile(durations: list[dict[str, int]]) -> list[Event]:
    """Make events of runs, with microseconds by the type of operator."""
    events: list[Event] = [{"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 5}]
    for k, run in enumerate(durations):
        start = 1000 * (k + 1)
        events.append({"cat": "Session", "name": "model_run", "ts": start, "dur": 900})
        for kind, duration in run.items():
            node = {"cat": "Node", "ts": start + 1, "args": {"op_name": kind}}
            events.append({**node, "name": f"a/{kind}_kernel_time", "dur": duration})
            events.append({**node, "name": f"a/{kind}_fence_before", "dur": 10**6})
    return events


def test_profile_is_the_median_over_runs_after_the_first(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    runs = [{"Conv": 10**6}] * WARMUP + [{"Conv": 2000, "Add": 100}, {"Conv": 3000}, {"Conv": 9000, "Add": 300}]
    path.write_text(json.dumps(make_profile(runs)))
    assert read_profile(path) == {"Conv": 3.0, "Add": 0.1}


def test_operators_that_lose_most_are_first() -> None:
    found = compare_operators({"Conv": 5.0, "Mul": 0.5}, {"Conv": 2.0, "Mul": 1.0, "DequantizeLinear": 4.0})
    assert found == [
        OperatorTime("DequantizeLinear", 0, 4.0),
        OperatorTime("Mul", 0.5, 1.0),
        OperatorTime("Conv", 5.0, 2.0),
    ]
    assert [row.loss for row in found] == [4.0, 0.5, -3.0]


@pytest.mark.parametrize("kind", ["Conv", "QLinearConv", "FusedConv", "NhwcFusedConv", "com.microsoft.FusedConv"])
def test_forms_of_an_operator_count_together(kind: str) -> None:
    assert name_operator(kind) == "Conv"


def test_real_profiles_name_the_operators_of_the_file(tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.conv(images.float()).softmax(1)

    path = tmp_path / "small.onnx"
    example = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    torch.onnx.export(Small().eval(), (example,), path, input_names=["images"], dynamo=True, verbose=False)
    found = profile_operators([path, path], make_noise(1, (16, 16)), threads=1)
    assert len(found) == 2 and RUNS > WARMUP
    for times in found:
        assert {"Cast", "Conv", "Softmax"} <= times.keys()
        assert times["Conv"] > 0
