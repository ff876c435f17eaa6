"""Scales and tick marks of charts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

STEPS = (1, 2, 5, 10)  # distances of tick marks, as multiples of a power of ten
TICKS = 5  # desired number of tick marks
TICK_WIDTH, TICK_HEIGHT = 48, 30  # space of the label of a tick mark, in units of the chart


class Axis(NamedTuple):
    """Maps values to positions.

    Attributes:
        low: value at ``start``.
        high: value at ``end``.
        start: position in units of the chart.
        end: position in units of the chart.
    """

    low: float
    high: float
    start: float
    end: float

    def position(self, value: float) -> float:
        """Returns the position of ``value``, cut at the ends of the axis."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, space: float = TICK_WIDTH) -> list[float]:
        """Returns round values to label: about five, or fewer where a short axis has no ``space`` for each."""
        step = find_step(self.high - self.low, max(1, min(TICKS, int(abs(self.end - self.start) / space))))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def find_step(extent: float, count: int = TICKS) -> float:
    """Returns 1, 2 or 5 times a power of ten, of which at most ``count`` fit into ``extent``."""
    power = 10.0 ** math.floor(math.log10(extent / count))
    return power * next(step for step in STEPS if step * power >= extent / count * 0.999)


def find_limits(values: Iterable[float], least: float | None = None, most: float | None = None) -> tuple[float, float]:
    """Returns rounded limits that contain the finite ones of ``values``.

    Args:
        values: any numbers.
        least: the lower limit, if it is fixed.
        most: the upper limit, if it is fixed.
    """
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low = min(finite) if least is None else least
    high = max(finite) if most is None else most
    if high <= low:  # one value gets the middle, unless a limit is fixed; of two fixed limits, the lower one stays
        margin = abs(low) / 2 or 1.0
        most = most if least is None else None
        high = low + margin if most is None else most
        low = min(low, high) - margin if least is None else low
    step = find_step(high - low)
    return (
        math.floor(low / step + 1e-9) * step if least is None else least,
        math.ceil(high / step - 1e-9) * step if most is None else most,
    )


def format_tick(value: float) -> str:
    """Formats the value of a tick mark."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"
