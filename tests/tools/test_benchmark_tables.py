"""The scripts that write tables of all families and heads, on one small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from litmobile.backbones import MobileNetV2
from litmobile.heads import SSDLite
from litmobile.heads.predictions import Classification, Detections, Segmentation
from litmobile.tools.benchmark.prepared import deployment_table, latency_table
from litmobile.tools.benchmark.prepared.deployment_table import Kind, describe_deviation
from litmobile.tools.benchmark.prepared.latency_table import Plan, make_rows


@pytest.fixture
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves one small detector of all families and heads."""
    kind = Kind(SSDLite, "detection", (64, 64), 3)
    for module in (deployment_table, latency_table):
        monkeypatch.setattr(module, "FAMILIES", {"MobileNetV2": lambda: MobileNetV2(0.35)})
        monkeypatch.setattr(module, "HEADS", {"SSDLite": kind})


@pytest.mark.usefixtures("one_network")
def test_files_of_a_network_are_measured(tmp_path: Path) -> None:
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (70, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    rows = list(deployment_table.measure("MobileNetV2", "SSDLite", ["ONNX", "ONNX int8"], tmp_path, seconds=0))
    assert [row[0] for row in rows] == ["ONNX", "ONNX int8"]
    found, _, total = rows[0][3].partition(" found")[0].partition(" of ")
    assert int(found) == int(total) > 0
    assert float(rows[1][2]) < float(rows[0][2])


@pytest.mark.usefixtures("one_network")
def test_latency_is_measured_until_the_time_is_over() -> None:
    titles, line, measured = make_rows("cpu", Plan(batches=[2], seconds=0, compile_seconds=-1))
    assert len(titles) == len(line)
    assert list(measured[:3]) == ["MobileNetV2", "SSDLite", "2"]
    assert measured[-1] == "no time left"
    assert list(make_rows("cpu", Plan(batches=[2], total_seconds=-1)))[-1][-1] == "no time left"


BOXES = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40]])
EXPECTED = Detections(BOXES, torch.tensor([0.9, 0.5]), torch.tensor([0, 1]))


@pytest.mark.parametrize(
    ("found", "expected", "text"),
    [
        (EXPECTED, EXPECTED, "2 of 2 found; 0 px, score 0"),
        (EXPECTED._replace(boxes=BOXES + 0.25), EXPECTED, "2 of 2 found; 0.25 px, score 0"),
        (EXPECTED._replace(labels=torch.tensor([0, 2])), EXPECTED, "1 of 2 found; 0 px, score 0"),
        (Classification(torch.tensor([0.25, 0.75])), Classification(torch.tensor([0.5, 0.5])), "probability 0.2"),
        (
            Segmentation(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])),
            Segmentation(torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]])),
            "50.00 % of the labels",
        ),
    ],
)
def test_deviation_is_described(found: Detections, expected: Detections, text: str) -> None:
    assert describe_deviation([(found, expected)]) == text
