"""Measures several networks in turn, so that load on the machine slows all of them alike."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..medians import Estimate

WARMUP = 3  # calls before the measurement: caches fill, CUDA graphs are recorded
MIN_ROUNDS = 6  # a 95 % interval of a median needs six values
MAX_ROUNDS = 400  # then the interval of a median spans a tenth of the values
CONFIDENCE = 0.95


class Timing(NamedTuple):
    """What the times of one network say.

    Attributes:
        milliseconds: median of a call, with its 95 % interval.
        p95: milliseconds that 95 % of the calls do not exceed.
        ratio: median ratio to the reference in the same round, with its 95 % interval.
    """

    milliseconds: Estimate
    p95: float
    ratio: Estimate

    @classmethod
    def of(cls, times: Sequence[float], reference: Sequence[float]) -> Timing:
        """Summarises milliseconds of the same rounds."""
        p95 = float(np.quantile(times, 0.95, method="higher"))
        return cls(Estimate.of(times, CONFIDENCE), p95, Estimate.of_ratios(times, reference, CONFIDENCE))


def take_turns(calls: Sequence[Callable[[], object]], seconds: float, seed: int = 0) -> list[list[float]]:
    """Measures calls in rounds: each round makes every call once, in a new random order.

    Args:
        calls: each returns when its result is there.
        seconds: no round starts after this time, but at least six rounds are measured.
        seed: of the orders.

    Returns:
        milliseconds of each call in each round.
    """
    for call in calls:
        for _ in range(WARMUP):
            call()
    times: list[list[float]] = [[] for _ in calls]
    order, shuffled = list(range(len(calls))), random.Random(seed)
    with paused_collector():
        end = time.perf_counter() + seconds
        while len(times[0]) < MIN_ROUNDS or (len(times[0]) < MAX_ROUNDS and time.perf_counter() < end):
            shuffled.shuffle(order)
            for k in order:
                start = time.perf_counter()
                calls[k]()
                times[k].append((time.perf_counter() - start) * 1000)
    return times


@contextmanager
def paused_collector() -> Iterator[None]:
    """Keeps Python from collecting garbage during a measurement, as `timeit` does."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
