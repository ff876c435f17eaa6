"""Shares of layers add up, and each module has the time that it takes itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from litmobile.tools.profile import layers
from litmobile.tools.profile.counts import count
from litmobile.tools.profile.layers import BETWEEN, ModuleTimes, list_layers, time_modules

IMAGE = torch.zeros(1, 4, 6, 6)


class FakeTime:
    """A clock that only advances when a layer says so."""

    now = 0.0

    @classmethod
    def perf_counter(cls) -> float:
        return cls.now


class Slow(nn.Conv2d):
    """Takes 3 ms."""

    def forward(self, input: Tensor) -> Tensor:
        FakeTime.now += 0.003
        return super().forward(input)


class Block(nn.Module):
    """Takes 1 ms itself and 6 ms in a layer that it uses twice."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = Slow(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        FakeTime.now += 0.001
        return self.norm(self.twice(self.twice(x)))


def test_times_of_modules_leave_out_inner_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "time", FakeTime)
    network = nn.Sequential(Slow(4, 4, 1), Block()).eval()
    found = time_modules(network, IMAGE)
    assert found.total == pytest.approx(10)
    expected = {"": 0, "0": 3, "1": 1, "1.twice": 6, "1.norm": 0}
    assert found.modules == pytest.approx(expected, abs=1e-6)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_shares_of_time_add_up() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), Block(), nn.ReLU()).eval()
    times = ModuleTimes(10.0, {"": 0.5, "0": 2.0, "1": 1.0, "1.twice": 4.0, "1.norm": 1.5, "2": 0.5})
    rows = list_layers(network, count(network, IMAGE), times)
    shares = {row["layer"]: row["share_of_time"] for row in rows if row.get("share_of_time") is not None}
    assert shares == pytest.approx({"0": 0.2, "1.twice": 0.4, "BatchNorm2d (1)": 0.15, "ReLU (1)": 0.05, BETWEEN: 0.2})
    twice = [row["milliseconds"] for row in rows if row["layer"] == "1.twice"]
    assert twice == [4.0, None]
    assert sum(row.get("parameters", 0) for row in rows) == sum(x.numel() for x in network.parameters())


def test_shares_of_costs_are_those_of_the_counts() -> None:
    network = nn.Sequential(nn.Conv2d(4, 8, 1, bias=False), nn.Conv2d(8, 4, 1, bias=False)).eval()
    rows = list_layers(network, count(network, IMAGE), None)
    assert [row.get("share_of_multiply_adds") for row in rows] == [0.5, 0.5, None]
    assert all("milliseconds" not in row for row in rows)
