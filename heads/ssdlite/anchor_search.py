"""Anchors that suit the objects of a data set: a small search, the same in every run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .anchors import AnchorGenerator, Layout, Shape, default_scales

SCALES = [round(0.02 * 1.04**k, 3) for k in range(100)] + [1.0]  # each step costs an object 4 % of its IoU at most
RATIOS = [1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0, 5.0, 6.0]
FIRST_RATIOS = ([1.5], [1.5, 3.0])  # where the search starts, for each number of ratios that it tries
START_QUANTILES = (0.01, 0.1, 0.3, 0.5)  # of the objects' sizes, as the smallest scale to start from
WORTH_A_RATIO = 0.01  # what a further ratio, two more anchors a cell to compute, has to add to the score
WORTH_A_CHANGE = 0.0005  # what another value has to add; less would be the chance of these objects
MOST_BOXES = 3000  # that are searched with
MOST_ROUNDS = 20

Grid = tuple[int, int]


class AnchorOptions(NamedTuple):
    """SSDLite's own arguments; see :class:`AnchorGenerator`."""

    scales: Sequence[float]
    ratios: Sequence[float] | Sequence[Sequence[float]]
    layout: Layout

    def generator(self) -> AnchorGenerator:
        """What lays these anchors."""
        return AnchorGenerator(self.scales, self.ratios, self.layout)


def suggest(
    boxes: Tensor,
    labels: Tensor,
    grids: Sequence[Grid],
    image_size: tuple[int, int],
    present: AnchorOptions,
    threshold: float = 0.5,
) -> AnchorOptions:
    """Looks for scales and ratios that overlap objects more than ``present`` do.

    What is made as large as it gets is the mean over objects of the best anchor's IoU and of whether that is at least
    ``threshold``; classes count beside objects, so that rare ones are not forgotten, see :func:`balance`. Scales rise
    from map to map, as what the maps see does. One ratio is preferred to two that are hardly better, because it is two
    anchors a cell less.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input; of many, some at equal distances are taken.
        labels: ``[B]``, their classes.
        grids: (rows, columns) of each map, finest first.
        image_size: (height, width) of the input in pixels.
        present: what to improve on; its layout is kept.
        threshold: least IoU of a match.

    Returns:
        The best that was found, which is ``present`` where nothing better was.
    """
    if not len(boxes):
        return present
    step = -(-len(boxes) // MOST_BOXES)
    lattice = AnchorGrid(boxes[::step], grids, image_size)
    weights = balance(labels[::step])

    def score(options: AnchorOptions) -> float:
        iou = lattice.best_iou(options.generator().shapes)
        return float((weights * (iou + (iou >= threshold))).sum() / 2)

    best, reached = None, 0.0
    for ratios in FIRST_RATIOS:
        starts = [AnchorOptions(scales, ratios, present.layout) for scales in first_scales(lattice, present.scales)]
        found, its_score = max((coordinate_ascent(start, score) for start in starts), key=lambda pair: pair[1])
        if best is None or its_score > reached + WORTH_A_RATIO:
            best, reached = found, its_score
    assert best is not None
    return best if reached > score(present) + WORTH_A_CHANGE else present


def balance(labels: Tensor) -> Tensor:
    """Weights ``[B]`` of objects that sum to 1: two thirds shared by all objects, one by classes and then theirs."""
    _, which, counts = labels.unique(return_inverse=True, return_counts=True)
    return (2 / len(labels) + 1 / (len(counts) * counts[which].double())) / 3


def first_scales(lattice: AnchorGrid, present: Sequence[float]) -> Iterator[list[float]]:
    """Rising scales to start from: those at hand, and SSD's equal steps from various sizes of objects on."""
    yield sorted(present)
    for size in lattice.scales().quantile(torch.tensor(START_QUANTILES, dtype=torch.float64)).tolist():
        yield [round(scale, 3) for scale in default_scales(len(present) - 1, smallest=min(size, 0.95))]


def coordinate_ascent(options: AnchorOptions, score: Callable[[AnchorOptions], float]) -> tuple[AnchorOptions, float]:
    """Changes one scale or ratio at a time, each to its best, for as long as that helps; gives the score as well."""
    best, reached = options, score(options)
    for _ in range(MOST_ROUNDS):
        before = reached
        for field, known in (("scales", SCALES), ("ratios", RATIOS)):
            for place in range(len(getattr(best, field))):
                tried = [(changed, score(changed)) for changed in variants(best, field, place, known)]
                changed, its_score = max(tried, key=lambda pair: pair[1], default=(best, reached))
                if its_score > reached + WORTH_A_CHANGE:
                    best, reached = changed, its_score
        if reached == before:
            break
    return best, reached


def variants(options: AnchorOptions, field: str, place: int, known: Sequence[float]) -> Iterator[AnchorOptions]:
    """``options`` with another of the ``known`` values at ``place`` of ``field``, between those before and after."""
    values: list[float] = list(getattr(options, field))
    before, after = values[:place], values[place + 1 :]
    for value in known:
        if max(before, default=0.0) < value < min(after, default=math.inf):
            yield options._replace(**{field: [*before, value, *after]})


class AnchorGrid:
    """Objects over the cells of maps, from where the best anchor of any shape is known without laying all.

    Anchors of one shape on one map differ in nothing but their centres, and the closest one overlaps an object most, in
    either direction by itself.

    Args:
        boxes: ``[B, 4]`` as x1, y1, x2, y2 in pixels of the input, inside it.
        grids: (rows, columns) of each map.
        image_size: (height, width) of the input in pixels.
    """

    def __init__(self, boxes: Tensor, grids: Sequence[Grid], image_size: tuple[int, int]) -> None:
        x1, y1, x2, y2 = boxes.double().unbind(1)
        self.height, self.width = image_size
        self.object = (x2 - x1, y2 - y1)
        self.away = (
            torch.stack([to_centre((x1 + x2) / 2, columns, self.width) for _, columns in grids]),
            torch.stack([to_centre((y1 + y2) / 2, rows, self.height) for rows, _ in grids]),
        )

    def scales(self) -> Tensor:
        """``[B]``, sizes of the objects as scales of a square anchor."""
        width, height = self.object
        return (width * height).sqrt() / min(self.width, self.height)

    def best_iou(self, shapes: Sequence[Sequence[Shape]]) -> Tensor:
        """``[B]``, IoU of every object with the best of the anchors of ``shapes``, which are listed map by map."""
        level = torch.tensor([k for k, those in enumerate(shapes) for _ in those])
        shorter = min(self.width, self.height)
        sides = torch.tensor([shape for those in shapes for shape in those], dtype=torch.float64) * shorter
        anchor = (sides[:, :1].clamp(max=self.width), sides[:, 1:].clamp(max=self.height))
        x, y = (
            torch.minimum(torch.minimum(a, b), (a + b) / 2 - away[level]).clamp(min=0)
            for a, b, away in zip(anchor, self.object, self.away, strict=True)
        )
        union = anchor[0] * anchor[1] + self.object[0] * self.object[1] - x * y
        return (x * y / union).amax(0)


def to_centre(places: Tensor, cells: int, length: int) -> Tensor:
    """How far ``places`` on a side of ``length`` pixels are from the centre of their one of ``cells`` equal cells."""
    cell = (places * (cells / length)).floor().clamp(0, cells - 1)
    return (places - (cell + 0.5) * (length / cells)).abs()
