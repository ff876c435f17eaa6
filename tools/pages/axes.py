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
        is_log: whether the axis is logarithmic; both limits are above 0 then.
        marks: values to label, ascending; without any, round values are labelled.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False
    marks: tuple[float, ...] = ()

    def position(self, value: float) -> float:
        """Returns the position of ``value``, cut at the ends of the axis."""
        inside = min(max(value, self.low), self.high)
        if self.is_log:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, space: float = TICK_WIDTH) -> list[float]:
        """Returns values to label, ``space`` apart: the given marks, or about five round values."""
        if self.marks:
            return self.space_marks(space)
        step = find_step(self.high - self.low, max(1, min(TICKS, int(abs(self.end - self.start) / space))))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]

    def space_marks(self, space: float) -> list[float]:
        """Returns the last of the marks, and those of the others that are ``space`` apart."""
        kept: list[float] = []
        for mark in reversed(self.marks):
            if not kept or abs(self.position(kept[-1]) - self.position(mark)) >= space:
                kept.append(mark)
        return kept[::-1]


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


def build_log_axis(
    values: Iterable[float], limits: tuple[float | None, float | None], ends: tuple[float, float]
) -> Axis:
    """Builds a logarithmic axis from the lowest to the highest of the ``values`` above 0, which it labels.

    Args:
        values: any numbers; those that are not above 0 have no position.
        limits: fixed limits.
        ends: positions of the limits.
    """
    marks = sorted({value for value in values if math.isfinite(value) and value > 0}) or [1.0]
    low, high = (given or found for given, found in zip(limits, (marks[0], marks[-1]), strict=True))
    if high <= low:  # one value gets the middle
        low, high = low / 2, low * 2
    return Axis(low, high, *ends, is_log=True, marks=tuple(mark for mark in marks if low <= mark <= high))


def format_tick(value: float) -> str:
    """Formats the value of a tick mark."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.4g}"
