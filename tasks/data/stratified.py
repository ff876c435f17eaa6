"""Draws a fraction of the images, stratified by kind: with near-duplicates together, or in nested shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Stratum(NamedTuple):
    """Images of one kind, e.g. of one class; an image may be of several kinds.

    Attributes:
        name: the kind, for messages; "" for all images.
        images: their indices.
        is_required: whether training and validation must both contain the kind.
    """

    name: str
    images: NDArray[np.intp]
    is_required: bool = True

    def count(self, fraction: float) -> int:
        """Returns the number of images to draw; at least one is left, and one is drawn if the kind is required."""
        return min(max(int(self.is_required), round(fraction * len(self.images))), len(self.images) - 1)


class NestedOrder(NamedTuple):
    """All images in an order of which every beginning has about the same fraction of each stratum.

    Attributes:
        images: indices of the images, ``[I]``.
        required: number of images at the start that together show every stratum.
    """

    images: NDArray[np.intp]
    required: int

    def take(self, fraction: float) -> NDArray[np.intp]:
        """Returns the first ``fraction`` of the images, or those that are required if they are more, ascending."""
        return np.sort(self.images[: max(1, self.required, round(fraction * len(self.images)))])


def order_stratified(strata: Sequence[Stratum], images: int, random: np.random.Generator) -> NestedOrder:
    """Orders ``images`` images for nested fractions; a smaller fraction is the beginning of a larger one.

    Each image belongs to the first of its strata. The n images of a stratum are spread evenly over the order, at
    random positions (k + 0.5) / n.

    Args:
        strata: kinds of images, the rarest first.
        images: number of images.
        random: decides which images of a stratum come first.
    """
    whole = Stratum("", np.arange(images), is_required=False)  # for images without a kind
    shuffled = [random.permutation(stratum.images) for stratum in (*strata, whole)]
    is_required, is_free = np.zeros(images, dtype=bool), np.ones(images, dtype=bool)
    parts: list[NDArray[np.intp]] = []
    for order in shuffled:
        own = order[is_free[order]]
        is_free[own] = False
        parts.append(own)
        if len(order) and not is_required[order].any():
            is_required[own[0] if len(own) else order[0]] = True
    positions = np.empty(images)
    for own in parts:
        required_first = own[np.argsort(~is_required[own], kind="stable")]
        positions[required_first] = (np.arange(len(own)) + 0.5) / max(1, len(own))
    positions[is_required] = -1
    # ties, e.g. between strata of equal size, are broken at random
    return NestedOrder(np.lexsort((random.permutation(images), positions)), int(is_required.sum()))


def divide_large_groups(
    groups: NDArray[np.intp], strata: Sequence[Stratum], fraction: float
) -> tuple[NDArray[np.intp], int]:
    """Divides groups into single images if they have more than half of all images, or leave a stratum too few to draw.

    Args:
        groups: number of each image's group, ``[I]``, which is the index of one of its images.
        strata: kinds of images.
        fraction: fraction of each stratum that will be drawn.

    Returns:
        The groups, and the number of those that were divided.
    """
    sizes = Counter(groups.tolist())
    large = {group for group, size in sizes.items() if 2 * size > len(groups)}
    for stratum in strata:
        most = len(stratum.images) - stratum.count(fraction)
        large |= {group for group, size in Counter(groups[stratum.images].tolist()).items() if size > most}
    large = {group for group in large if sizes[group] > 1}
    return np.where(np.isin(groups, list(large)), np.arange(len(groups)), groups), len(large)


class StratifiedDraw:
    """Draws about a fraction of each stratum, a whole group at a time.

    Args:
        strata: kinds of images, drawn from in this order.
        groups: see :func:`divide_large_groups`.

    Attributes:
        is_drawn: whether each image is drawn, ``[I]``.
    """

    def __init__(self, strata: Sequence[Stratum], groups: NDArray[np.intp]) -> None:
        self.is_drawn = np.zeros(len(groups), dtype=bool)
        self.strata = strata
        self._groups = groups
        sizes = np.bincount(groups, minlength=len(groups))
        self._members = np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1])
        self._strata_of: list[list[int]] = [[] for _ in groups]
        for number, stratum in enumerate(strata):
            for image in stratum.images.tolist():
                self._strata_of[image].append(number)
        self._left = [len(stratum.images) for stratum in strata]

    def run(self, fraction: float, random: np.random.Generator) -> None:
        """Draws ``fraction`` of each stratum, in an order from ``random``."""
        for stratum in self.strata:
            order = random.permutation(stratum.images)
            self._draw_fraction(stratum, order, fraction)
            if stratum.is_required and not self.is_drawn[order].any():
                self._draw_any(order)

    def _draw_fraction(self, stratum: Stratum, order: NDArray[np.intp], fraction: float) -> None:
        """Draws the groups of ``order`` that fit into ``fraction``, then those that exceed it but bring it nearer."""
        groups = self._groups[order].tolist()
        sizes = Counter(groups)
        missing = stratum.count(fraction) - int(self.is_drawn[order].sum())
        for may_exceed in (False, True):
            for group in groups:
                if missing < 1:
                    return
                most = 2 * missing - 1 if may_exceed else missing
                if sizes[group] <= most and self._draw(self._members[group]):
                    missing -= sizes[group]

    def _draw_any(self, order: NDArray[np.intp]) -> None:
        """Draws the smallest group that leaves images of every stratum, or otherwise one image."""
        groups = sorted((self._members[group] for group in self._groups[order].tolist()), key=len)
        if not any(self._draw(images) for images in (*groups, *order[:, None])):
            self.is_drawn[order[0]] = True

    def _draw(self, images: NDArray[np.intp]) -> bool:
        """Draws ``images`` unless they are drawn already or are the last ones of a stratum; returns whether it did."""
        counts = Counter(number for image in images.tolist() for number in self._strata_of[image])
        if self.is_drawn[images].any() or any(self._left[number] <= count for number, count in counts.items()):
            return False
        for number, count in counts.items():
            self._left[number] -= count
        self.is_drawn[images] = True
        return True
