"""Finds places for the labels of boxes, at which they do not cover each other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MIN_ROOM = 4  # heights of a label in a box, from which it may hide a part of the object
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

    A label touches its box: it is above it, inside it if the box has room, or below it, at the left or the right side.
    It is moved to the left or right where it would leave the image. At most 60 labels get a place.

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
    above, below, inside = [y1 - height], [y2], [y1, y2 - height]
    is_roomy = x2 - x1 >= width and y2 - y1 >= MIN_ROOM * height
    # a label below could belong to the next box; one inside a small box would hide the object
    tops = above + inside + below if is_roomy else above + below + inside
    for top, left in itertools.product(tops, (x1, x2 - width)):
        left = max(0, min(left, columns - width))
        if top >= 0 and top + height <= rows:
            yield Place(left, top, left + width, top + height)
