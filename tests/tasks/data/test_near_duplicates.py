"""Groups of near-duplicates against a comparison of all pairs."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.data.near_duplicates import MAX_DISTANCE, connect, find_near_pairs, group_near_duplicates, mirror
from litmobile.tasks.data.verification import difference_hash


def count_bits(one: np.uint64, other: np.uint64) -> int:
    return (int(one) ^ int(other)).bit_count()


def test_near_pairs_equal_those_of_all_comparisons() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(1, 2**64, size=40, dtype=np.uint64)
    copies = hashes.copy()
    for row, bits in enumerate(random.integers(0, 8, size=40)):
        for bit in random.choice(64, size=bits, replace=False):
            copies[row] ^= np.uint64(1 << int(bit))
    both = np.unique(np.concatenate((hashes, copies, mirror(hashes[:9]))))
    mirrored = mirror(both)
    expected = [
        [one, other]
        for one in range(len(both))
        for other in range(one + 1, len(both))
        if min(count_bits(both[one], both[other]), count_bits(both[one], mirrored[other])) <= MAX_DISTANCE
    ]
    assert 20 < len(expected) == len(find_near_pairs(both))
    assert find_near_pairs(both).tolist() == expected


def test_groups_do_not_depend_on_the_order() -> None:
    random = np.random.default_rng(1)
    hashes = random.integers(1, 16, size=30, dtype=np.uint64) * np.uint64(0x0101_0101_0101_0101)
    order = random.permutation(30)
    groups, reordered = group_near_duplicates(hashes), group_near_duplicates(hashes[order])
    same = groups[:, None] == groups
    assert np.array_equal(same[order][:, order], reordered[:, None] == reordered)
    assert (groups[groups] == groups).all(), "a group's number is the index of one of its images"


def test_neighbours_of_neighbours_are_one_group() -> None:
    chain = np.array([2**k - 1 for k in range(1, 60, 3)], dtype=np.uint64)
    assert len(np.unique(group_near_duplicates(chain))) == 1


def test_images_without_structure_are_not_grouped() -> None:
    assert group_near_duplicates(np.array([0, 7 << 30, 0, 7 << 30], dtype=np.uint64)).tolist() == [0, 1, 2, 1]
    assert group_near_duplicates(np.zeros(0, dtype=np.uint64)).tolist() == []


def test_mirrored_hashes_are_those_of_mirrored_images() -> None:
    image = np.random.default_rng(2).integers(256, size=(8, 9, 3), dtype=np.uint8)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    found = mirror(np.array([difference_hash(image)], dtype=np.uint64))[0]
    assert count_bits(found, np.uint64(difference_hash(mirrored))) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_components_of_a_long_path_are_connected(seed: int) -> None:
    path = np.random.default_rng(seed).permutation(2000)
    pairs = np.stack((path[:-1], path[1:]), axis=1)
    assert not connect(2001, pairs)[:2000].any() and connect(2001, pairs)[2000] == 2000
