"""Samplers: every sample once, whatever the number of processes, and the same ones for the same seed."""

from __future__ import annotations

import pytest

from litmobile.tasks.sampling import SampleKey, ShardSampler, ShuffledSampler

SIZES = pytest.mark.parametrize("size", [0, 1, 2, 7, 12, 100])
WORLDS = pytest.mark.parametrize("world", [1, 2, 3])


def epoch_of(size: int, world: int, seed: int = 3, epoch: int = 0) -> list[list[SampleKey]]:
    """What each process is given in one epoch."""
    parts: list[list[SampleKey]] = []
    for rank in range(world):
        sampler = ShuffledSampler(size, seed, rank, world)
        sampler.set_epoch(epoch)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    return parts


@SIZES
@WORLDS
def test_epoch_drops_only_the_indivisible_remainder(size: int, world: int) -> None:
    parts = epoch_of(size, world)
    indices = [index for part in parts for index, *_ in part]
    assert len({len(part) for part in parts}) == 1
    assert len(set(indices)) == len(indices) == size - size % world
    assert set(indices) <= set(range(size))


@WORLDS
def test_dropped_samples_change_between_epochs(world: int) -> None:
    seen = {index for epoch in range(30) for part in epoch_of(8, world, epoch=epoch) for index, *_ in part}
    assert seen == set(range(8))


@WORLDS
def test_epochs_differ_and_repeat_with_the_seed(world: int) -> None:
    assert epoch_of(100, world) == epoch_of(100, world)
    first, others = epoch_of(100, world), [epoch_of(100, world, epoch=1), epoch_of(100, world, seed=4)]
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            assert [key.image for key in mine] != [key.image for key in theirs]
            assert not {seed for _, seed, _ in mine} & {seed for _, seed, _ in theirs}


@WORLDS
def test_samples_and_seeds_do_not_depend_on_processes(world: int) -> None:
    alone = set(epoch_of(12, 1)[0])
    assert {key for part in epoch_of(12, world) for key in part} == alone


def test_every_sample_has_its_own_seed() -> None:
    seeds = [seed for _, seed, _ in epoch_of(1000, 1)[0]]
    assert len(set(seeds)) == 1000
    assert min(seeds) >= 0


@pytest.mark.parametrize("seed", [0, -5, 2**63, 2**64 - 1, 10**30])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert sorted(index for index, *_ in epoch_of(5, 1, seed=seed)[0]) == list(range(5))


@SIZES
@WORLDS
def test_evaluation_shards_hold_every_sample_once_in_order(size: int, world: int) -> None:
    shards = [ShardSampler(size, rank, world) for rank in range(world)]
    indices = [[index for index, *_ in shard] for shard in shards]
    assert sorted(index for shard in indices for index in shard) == list(range(size))
    assert indices == [sorted(shard) for shard in indices]
    assert [len(shard) for shard in shards] == [len(shard) for shard in indices]
    assert max(map(len, indices)) - min(map(len, indices)) <= 1
