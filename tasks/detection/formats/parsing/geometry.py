"""Boxes around polygons and rotated shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence

#: x1, y1, x2, y2
Box = tuple[float, float, float, float]


def enclose_points(xs: Sequence[float], ys: Sequence[float]) -> Box:
    """Returns the box around points."""
    return min(xs), min(ys), max(xs), max(ys)


def enclose_rotated_box(x: float, y: float, width: float, height: float, angle: float) -> Box:
    """Returns the upright box around a box with the centre (``x``, ``y``) that is rotated by ``angle`` (radians)."""
    cosine, sine = abs(math.cos(angle)), abs(math.sin(angle))
    right, down = (width * cosine + height * sine) / 2, (width * sine + height * cosine) / 2
    return x - right, y - down, x + right, y + down


def enclose_ellipse(x: float, y: float, x_radius: float, y_radius: float, angle: float = 0.0) -> Box:
    """Returns the box around an ellipse with the centre (``x``, ``y``) that is rotated by ``angle`` (radians)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    right, down = math.hypot(x_radius * cosine, y_radius * sine), math.hypot(x_radius * sine, y_radius * cosine)
    return x - right, y - down, x + right, y + down
