"""Finds places for the labels of boxes, at which they do not cover each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_LABELS = 60  # in an image: more would hide it, even where they find places


class Place(NamedTuple):
    """A rectangle in an image, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Place) -> bool:
        """Whether the two rectangles share an area."""
        is_beside = self.right <= other.left or other.right <= self.left
        return not (is_beside or self.bottom <= other.top or other.bottom <= self.top)


def place_labels(
    boxes: Sequence[Sequence[float]], widths: Sequence[float], height: float, size: tuple[int, int]
) -> list[Place | None]:
    """Finds a place for the label of each box, the first box first, or None if all its places are taken.

    A label touches its box: it is above or below the box or inside it, at its left or at its right side. It is moved to
    the left or right where it would leave the image. At most 60 labels get a place.

    Args:
        boxes: N boxes of x1, y1, x2, y2 in pixels.
        widths: widths of the N labels, in pixels.
        height: height of all labels, in pixels.
        size: height and width of the image.
    """
    taken: list[Place] = []
    places: list[Place | None] = []
    for box, width in zip(boxes, widths, strict=True):
        is_full = len(taken) >= MAX_LABELS
        candidates = () if is_full else propose_places(box, width, height, size)
        place = next((place for place in candidates if not any(map(place.overlaps, taken))), None)
        taken += [place] if place is not None else []
        places.append(place)
    return places


def propose_places(box: Sequence[float], width: float, height: float, size: tuple[int, int]) -> Iterator[Place]:
    """Lists the places in an image of ``size`` for a label of ``width`` × ``height`` pixels, the best first."""
    rows, columns = size
    x1, y1, x2, y2 = (min(max(value, 0), limit) for value, limit in zip(box, (columns, rows) * 2, strict=True))
    tops = (y1 - height, y2, y1, y2 - height)  # above, below, and inside at both ends
    for top, left in itertools.product(tops, (x1, x2 - width)):
        left = max(0, min(left, columns - width))
        if top >= 0 and top + height <= rows:
            yield Place(left, top, left + width, top + height)
