"""Pictures that are there more than once, within a split and across splits, found by their pixels."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...tasks.statistics import share


@dataclass(frozen=True)
class Copy:
    """Where one of several equal pictures is: its split, its file name, and its class or the digest of its mask."""

    split: str
    name: str
    label: str


@dataclass(frozen=True)
class Shared:
    """Pictures of a split that an earlier one has as well: what is measured on them was learnt by heart.

    Attributes:
        split: "val" or "test".
        earlier: "train" or "val".
        images: how many images of ``split`` are in ``earlier``, too.
        share: of the images of ``split``.
        relabelled: how many of them ``earlier`` has under another class or with another mask.
    """

    split: str
    earlier: str
    images: int
    share: float
    relabelled: int


@dataclass(frozen=True)
class Repeated:
    """Pictures that one split has more than once, and how many of them under different classes or masks."""

    split: str
    pictures: int
    relabelled: int


@dataclass(frozen=True)
class Copies:
    """What is there more than once.

    Attributes:
        shared: across splits, by pair of splits.
        repeated: within splits, by split.
        groups: all pictures that there are several of, each with its copies.
    """

    shared: list[Shared]
    repeated: list[Repeated]
    groups: list[list[Copy]]


class Identified(NamedTuple):
    """The images of a split, with what tells whether two are the same.

    Attributes:
        names: their file names.
        labels: their classes, or the digests of their masks.
        digests: of their pixels, see :func:`digest`; empty for those that cannot be read.
    """

    names: Sequence[str]
    labels: Sequence[str]
    digests: Sequence[str]


def digest(pixels: NDArray[Any]) -> str:
    """The same for the same pixels, whatever format and name they are stored under."""
    found = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def copies(splits: Mapping[str, Identified]) -> Copies:
    """Finds equal pictures within and across ``splits``."""
    places: dict[str, list[Copy]] = defaultdict(list)
    for split, images in splits.items():
        for name, label, key in zip(*images, strict=True):
            if key:
                places[key].append(Copy(split, name, label))
    groups = [group for group in places.values() if len(group) > 1]
    pairs = itertools.combinations(splits, 2)
    return Copies(
        shared=[shared(groups, split, earlier, len(splits[split].names)) for earlier, split in pairs],
        repeated=[repeated(groups, split) for split in splits],
        groups=groups,
    )


def shared(groups: Sequence[Sequence[Copy]], split: str, earlier: str, images: int) -> Shared:
    """Counts what ``split``, of so many ``images``, has in common with an ``earlier`` one."""
    common = relabelled = 0
    for group in groups:
        labels = {copy.label for copy in group if copy.split == earlier}
        mine = [copy for copy in group if copy.split == split] if labels else []
        common += len(mine)
        relabelled += sum(labels != {copy.label} for copy in mine)
    return Shared(split, earlier, common, share(common, images), relabelled)


def repeated(groups: Sequence[Sequence[Copy]], split: str) -> Repeated:
    """Counts what ``split`` has more than once."""
    inside = [[copy.label for copy in group if copy.split == split] for group in groups]
    several = [labels for labels in inside if len(labels) > 1]
    return Repeated(split, len(several), sum(len(set(labels)) > 1 for labels in several))
