"""Objects of a detection split as annotated, and the one rule by which boxes are repaired or left out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError, format_count

ROUNDING = 0.01  # pixels by which a box may exceed its image, because files round coordinates


class ObjectTable(NamedTuple):
    """Objects as a data set describes them, in flat arrays.

    Attributes:
        images: index of the image of each object, ``[B]``.
        labels: class indices, ``[B]``.
        boxes: x, y, width and height in pixels, ``[B, 4]`` float64; the first pixel of an image extends from 0 to 1.
        areas: area in pixels, ``[B]``, which decides whether an object is small, medium or large; NaN for the box's.
        is_crowd: ``[B]``; crowds are not trained on, and the evaluation counts them neither as found nor as missed.
        is_difficult: ``[B]``; the evaluation treats difficult objects as crowds, but they are trained on.
    """

    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    is_crowd: NDArray[np.bool_]
    is_difficult: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> ObjectTable:
        """Returns the objects that the mask ``[B]`` selects."""
        return ObjectTable(
            self.images[rows],
            self.labels[rows],
            self.boxes[rows],
            self.areas[rows],
            self.is_crowd[rows],
            self.is_difficult[rows],
        )


def check_unit(boxes: NDArray[np.float64], source: Path) -> None:
    """Raises DataError if ``boxes`` ``[B, 4]``, x, y, width and height, are fractions of the image, not pixels."""
    if len(boxes) and (boxes[:, :2] + boxes[:, 2:] <= 1).all() and (boxes % 1 > 0).any():
        raise DataError(f"{source}: all boxes end at 1 or before; give them in pixels, not as fractions of the image.")


def clean_objects(objects: ObjectTable, sizes: NDArray[np.int64], source: Path) -> tuple[ObjectTable, tuple[str, ...]]:
    """Clips boxes to their images of ``sizes`` ``[I, 2]``, and leaves out boxes without area.

    Returns:
        The objects with their areas, and one sentence about the repairs, if any.
    """
    corners = np.concatenate((objects.boxes[:, :2], objects.boxes[:, :2] + objects.boxes[:, 2:]), axis=1)
    clipped = np.clip(corners, 0, np.tile(sizes[objects.images][:, ::-1], 2))
    inside = np.concatenate((clipped[:, :2], clipped[:, 2:] - clipped[:, :2]), axis=1)
    has_area: NDArray[np.bool_] = np.all((objects.boxes[:, 2:] > 0) & (inside[:, 2:] > 0), axis=1)
    has_area &= np.isfinite(corners).all(axis=1)
    was_outside = has_area & (np.abs(clipped - corners) > ROUNDING).any(1)
    boxes = np.where(was_outside[:, None], inside, objects.boxes)
    box_areas = boxes[:, 2] * boxes[:, 3]
    areas = np.where(np.isnan(objects.areas), box_areas, objects.areas)
    areas = np.where(was_outside, np.minimum(areas, box_areas), areas)
    cleaned = objects._replace(boxes=boxes, areas=areas).take(has_area)
    repairs = {"without area left out": int((~has_area).sum()), "clipped to their image": int(was_outside.sum())}
    text = " and ".join(format_count(count, f"boxes {repair}") for repair, count in repairs.items() if count)
    return cleaned, (f"{source}: {text}, in training and evaluation.",) if text else ()
