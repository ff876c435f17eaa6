"""Networks are measured in turn, and intervals of medians have the stated coverage."""

from __future__ import annotations

import math
import statistics

import pytest

from litmobile.tools.medians import Estimate, interval
from litmobile.tools.profile import timing
from litmobile.tools.profile.timing import MIN_ROUNDS, WARMUP, Timing, take_turns


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("n", [6, 9, 15, 31])
def test_interval_misses_the_median_as_rarely_as_stated(n: int, confidence: float) -> None:
    values = [float(k) for k in range(1, n + 1)]
    low, high = interval(values, confidence)
    assert low <= statistics.median(values) <= high
    # each value is below the median with probability 1/2; the interval misses it if fewer than k of n values are
    below, tail = int(low), (1 - confidence) / 2
    assert sum(math.comb(n, k) for k in range(below)) / 2**n <= tail
    assert sum(math.comb(n, k) for k in range(below + 1)) / 2**n > tail  # a narrower interval misses it more often
    assert high == n + 1 - below


def test_interval_of_few_values_covers_them_all() -> None:
    assert interval([2.0, 1.0]) == (1.0, 2.0)
    assert interval([1.0]) == (1.0, 1.0)


def test_ratios_are_paired_by_round() -> None:
    """Load that slows both by the same factor leaves the ratio exact, although the times vary."""
    load = [1.0, 5.0, 2.0, 9.0, 3.0, 4.0]
    found = Timing.of([2 * x for x in load], load)
    assert found.ratio == Estimate(2, 2, 2)
    assert found.milliseconds == Estimate(7, 2, 18)
    assert found.p95 == 18


def test_every_round_calls_each_network_once_in_random_order() -> None:
    calls: list[int] = []
    times = take_turns([lambda k=k: calls.append(k) for k in range(4)], seconds=1e-9)
    assert [len(taken) for taken in times] == [MIN_ROUNDS] * 4
    measured = calls[4 * WARMUP :]
    rounds = [measured[k : k + 4] for k in range(0, len(measured), 4)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in rounds)
    assert len({tuple(order) for order in rounds}) > 1
    assert calls[: 4 * WARMUP] == [k for k in range(4) for _ in range(WARMUP)]


def test_times_are_those_of_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class FakeTime:
        @staticmethod
        def perf_counter() -> float:
            return clock[0]

    def wait(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(timing, "time", FakeTime)
    short, long = take_turns([lambda: wait(0.002), lambda: wait(0.05)], seconds=0.6)
    assert short == pytest.approx([2.0] * 12) and long == pytest.approx([50.0] * 12)  # the twelfth starts at 0.572
