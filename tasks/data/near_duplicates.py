"""Finds images that look the same, such as frames of one video and resized or mirrored copies, by their hashes."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

#: Bits in which the hashes of near-duplicates differ at most. Of photos that are recompressed, resized, blurred,
#: mirrored or darkened, 89 to 100 % stay within it; of cropped or rotated ones, few do. No two different photos of ants
#: and bees, blood cells or COCO do (158,000 pairs), and only 5 of 50 million pairs of CIFAR-10.
MAX_DISTANCE = 4
# hashes that differ in at most 4 bits agree in at least two of these six bands of bits
BANDS = tuple(itertools.pairwise((0, 11, 22, 33, 44, 54, 64)))
# Hashes with equal bands that each hash is compared with. It finds 380 of the 382 pairs of CIFAR-10's 60,000 images.
# Each of the many similar frames of a camera that does not move is near to some of these, which connects them all.
MAX_COMPARED = 32


def group_near_duplicates(hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Returns a number for each image ``[N]``, which near-duplicates and their near-duplicates in turn share.

    An image with the hash 0, which says nothing, is a group of its own.

    Args:
        hashes: see :func:`.verification.difference_hash`, ``[N]``.
    """
    known = np.flatnonzero(hashes)
    distinct, first, inverse = np.unique(hashes[known], return_index=True, return_inverse=True)
    groups = np.arange(len(hashes))
    groups[known] = known[first[connect(len(distinct), find_near_pairs(distinct))]][inverse]
    return groups


def find_near_pairs(hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Returns the pairs of indices of near-duplicates, ``[P, 2]``, also where one of them is mirrored.

    Args:
        hashes: distinct hashes, ``[N]``.
    """
    both = np.concatenate((hashes, mirror(hashes)))
    order = np.argsort(both)
    pairs = [np.empty((2, 0), dtype=np.intp)]
    for kept in itertools.combinations(BANDS, 2):
        bits = np.uint64(sum((1 << end) - (1 << start) for start, end in kept))
        by_key = order[np.argsort(both[order] & bits, kind="stable")]
        values = both[by_key]
        keys = values & bits
        starts = np.arange(len(keys))
        for distance in range(1, MAX_COMPARED + 1):
            starts = starts[starts + distance < len(keys)]
            starts = starts[keys[starts] == keys[starts + distance]]
            if not len(starts):
                break
            near = starts[is_near(values[starts], values[starts + distance])]
            pairs.append(np.stack((by_key[near], by_key[near + distance])))
    images = max(1, len(hashes))
    one, other = np.sort(np.concatenate(pairs, axis=1) % images, axis=0)
    codes = np.unique(one[one < other] * images + other[one < other])
    return np.stack(np.divmod(codes, images), axis=1)


def is_near(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each pair of hashes differs in at most ``MAX_DISTANCE`` bits."""
    difference = one ^ other
    for _ in range(MAX_DISTANCE):
        difference &= difference - np.uint64(1)  # clears the lowest bit
    return difference == 0


def mirror(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Returns the hashes of the images mirrored left to right, but for neighbouring cells of equal brightness."""
    bits = np.unpackbits(hashes.astype("<u8").view(np.uint8)).reshape(-1, 8)
    return np.packbits(1 - bits[:, ::-1]).view("<u8").astype(np.uint64)


def connect(nodes: int, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Returns the smallest index of each node's connected component, ``[nodes]``."""
    lowest = np.arange(nodes)
    while True:
        before = lowest.copy()
        reached = lowest[pairs].min(axis=1, initial=nodes)
        for side in pairs.T:
            np.minimum.at(lowest, before[side], reached)  # the representative follows, so long chains need few rounds
            np.minimum.at(lowest, side, reached)
        lowest = lowest[lowest]
        if (lowest == before).all():
            return lowest
