"""Deterministic search for anchors that fit the objects of a data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .anchors import AnchorGenerator, Layout, Shape, default_scales

SCALES = [round(0.02 * 1.04**k, 3) for k in range(100)] + [1.0]  # a step changes an object's IoU by at most 4 %
RATIOS = [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0]
START_RATIOS = ([1.5], [1.5, 3.0])  # one start for each number of ratios
START_QUANTILES = (0.01, 0.1, 0.3, 0.5)  # of the objects' sizes; each gives a smallest scale to start from
MIN_GAIN_OF_RATIO = 0.01  # minimum gain in score for one more ratio, which adds two anchors per cell
MIN_GAIN = 0.0005  # minimum gain in score for another value; smaller gains are noise
MAX_BOXES = 3000  # more are subsampled
MAX_ROUNDS = 20

Grid = tuple[int, int]


class AnchorOptions(NamedTuple):
    """The anchor options of :class:`SSDLite`."""

    anchor_scales: Sequence[float]
    aspect_ratios: Sequence[float] | Sequence[Sequence[float]]
    layout: Layout

    def build_generator(self) -> AnchorGenerator:
        """Builds the generator of these anchors."""
        return AnchorGenerator(self.anchor_scales, self.aspect_ratios, self.layout)


def search_anchors(
    boxes: Tensor,
    labels: Tensor,
    grids: Sequence[Grid],
    image_size: tuple[int, int],
    current: AnchorOptions,
    threshold: float = 0.5,
) -> AnchorOptions:
    """Searches scales and aspect ratios that overlap objects better than ``current``.

    An object's score is the mean of its best anchor's IoU and of 1 if that reaches ``threshold``, else 0. The total is
    a weighted mean in which rare classes count more, see :func:`compute_balanced_weights`. Scales increase from map to
    map, like the receptive field. One ratio is preferred to two that are hardly better, because it saves two anchors
    per cell.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input; more than 3000 are subsampled evenly.
        labels: ``[B]``, their classes.
        grids: (rows, columns) of each map, finest first.
        image_size: (height, width) of the input in pixels.
        current: the options to improve; their layout is kept.
        threshold: minimum IoU of a match.

    Returns:
        The best options found, or ``current`` if none are better.
    """
    if not len(boxes):
        return current
    step = -(-len(boxes) // MAX_BOXES)
    grid = AnchorGrid(boxes[::step], grids, image_size)
    weights = compute_balanced_weights(labels[::step])

    def score(options: AnchorOptions) -> float:
        iou = grid.best_iou(options.build_generator().shapes)
        return float((weights * (iou + (iou >= threshold))).sum() / 2)

    best, best_score = current, -math.inf
    for ratios in START_RATIOS:
        start_scales = generate_start_scales(grid, current.anchor_scales)
        starts = [AnchorOptions(scales, ratios, current.layout) for scales in start_scales]
        options, options_score = max((coordinate_ascent(start, score) for start in starts), key=lambda pair: pair[1])
        if options_score > best_score + MIN_GAIN_OF_RATIO:
            best, best_score = options, options_score
    return best if best_score > score(current) + MIN_GAIN else current


def compute_balanced_weights(labels: Tensor) -> Tensor:
    """Returns weights ``[B]`` of sum 1: two thirds are equal for all objects, one third is equal for all classes."""
    _, indices, counts = labels.unique(return_inverse=True, return_counts=True)
    return (2 / len(labels) + 1 / (len(counts) * counts[indices].double())) / 3


def generate_start_scales(grid: AnchorGrid, current: Sequence[float]) -> Iterator[list[float]]:
    """Yields increasing scales to start from: the current ones, and SSD's equal steps from several object sizes."""
    yield sorted(current)
    for size in grid.object_scales().quantile(torch.tensor(START_QUANTILES, dtype=torch.float64)).tolist():
        yield [round(scale, 3) for scale in default_scales(len(current) - 1, smallest=min(size, 0.95))]


def coordinate_ascent(options: AnchorOptions, score: Callable[[AnchorOptions], float]) -> tuple[AnchorOptions, float]:
    """Optimises one scale or ratio at a time until the score stops rising; returns the best options and their score."""
    best, best_score = options, score(options)
    for _ in range(MAX_ROUNDS):
        before = best_score
        for field, values in (("anchor_scales", SCALES), ("aspect_ratios", RATIOS)):
            for index in range(len(getattr(best, field))):
                scored = [(changed, score(changed)) for changed in generate_variants(best, field, index, values)]
                changed, changed_score = max(scored, key=lambda pair: pair[1], default=(best, best_score))
                if changed_score > best_score + MIN_GAIN:
                    best, best_score = changed, changed_score
        if best_score == before:
            break
    return best, best_score


def generate_variants(
    options: AnchorOptions, field: str, index: int, candidates: Sequence[float]
) -> Iterator[AnchorOptions]:
    """Yields ``options`` with each candidate at ``index`` of ``field`` that lies between the neighbouring values."""
    values: list[float] = list(getattr(options, field))
    before, after = values[:index], values[index + 1 :]
    for value in candidates:
        if max(before, default=0.0) < value < min(after, default=math.inf):
            yield options._replace(**{field: [*before, value, *after]})


class AnchorGrid:
    """Computes the IoU of objects with their best anchor without generating all anchors.

    Anchors of one shape on one map differ only in their centres. The closest centre, in each direction independently,
    gives the highest IoU.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input, inside it.
        grids: (rows, columns) of each map.
        image_size: (height, width) of the input in pixels.
    """

    def __init__(self, boxes: Tensor, grids: Sequence[Grid], image_size: tuple[int, int]) -> None:
        x1, y1, x2, y2 = boxes.double().unbind(1)
        self.height, self.width = image_size
        self.object_sizes = (x2 - x1, y2 - y1)
        self.centre_distances = (
            torch.stack([distance_to_centre((x1 + x2) / 2, columns, self.width) for _, columns in grids]),
            torch.stack([distance_to_centre((y1 + y2) / 2, rows, self.height) for rows, _ in grids]),
        )

    def object_scales(self) -> Tensor:
        """Returns ``[B]``, for every object the scale of a square anchor of the same area."""
        width, height = self.object_sizes
        return (width * height).sqrt() / min(self.width, self.height)

    def best_iou(self, shapes: Sequence[Sequence[Shape]]) -> Tensor:
        """Returns ``[B]``, the IoU of every object with its best anchor; ``shapes`` has one list per map."""
        level = torch.tensor([k for k, of_map in enumerate(shapes) for _ in of_map])
        shorter = min(self.width, self.height)
        sides = torch.tensor([shape for of_map in shapes for shape in of_map], dtype=torch.float64) * shorter
        anchor = (sides[:, :1].clamp(max=self.width), sides[:, 1:].clamp(max=self.height))
        x, y = (
            torch.minimum(torch.minimum(a, b), (a + b) / 2 - distance[level]).clamp(min=0)
            for a, b, distance in zip(anchor, self.object_sizes, self.centre_distances, strict=True)
        )
        union = anchor[0] * anchor[1] + self.object_sizes[0] * self.object_sizes[1] - x * y
        return (x * y / union).amax(0)


def distance_to_centre(positions: Tensor, cells: int, length: int) -> Tensor:
    """Returns the distance of ``positions`` from the centre of their cell, for ``cells`` equal cells in ``length``."""
    cell = (positions * (cells / length)).floor().clamp(0, cells - 1)
    return (positions - (cell + 0.5) * (length / cells)).abs()
