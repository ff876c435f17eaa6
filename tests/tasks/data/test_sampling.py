"""Samplers visit every sample once for any number of processes, and repeat with the seed; so do multi-scale batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from litmobile.errors import DataError
from litmobile.tasks.data.sampling import MultiScaleBatches, SampleKey, ShardSampler, ShuffledSampler, batch_size_at

SIZES = pytest.mark.parametrize("size", [0, 1, 2, 7, 12, 100])
WORLDS = pytest.mark.parametrize("world", [1, 2, 3])


def sample_epoch(size: int, world: int, seed: int = 3, epoch: int = 0) -> list[list[SampleKey]]:
    """Return the samples of each process in one epoch."""
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
    parts = sample_epoch(size, world)
    indices = [index for part in parts for index, *_ in part]
    assert len({len(part) for part in parts}) == 1
    assert len(set(indices)) == len(indices) == size - size % world
    assert set(indices) <= set(range(size))


@WORLDS
def test_dropped_samples_change_between_epochs(world: int) -> None:
    seen = {index for epoch in range(30) for part in sample_epoch(8, world, epoch=epoch) for index, *_ in part}
    assert seen == set(range(8))


@WORLDS
def test_epochs_differ_and_repeat_with_the_seed(world: int) -> None:
    assert sample_epoch(100, world) == sample_epoch(100, world)
    first, others = sample_epoch(100, world), [sample_epoch(100, world, epoch=1), sample_epoch(100, world, seed=4)]
    for other in others:
        for mine, theirs in zip(first, other, strict=True):
            assert [key.image for key in mine] != [key.image for key in theirs]
            assert not {seed for _, seed, _ in mine} & {seed for _, seed, _ in theirs}


@WORLDS
def test_samples_and_seeds_do_not_depend_on_processes(world: int) -> None:
    alone = set(sample_epoch(12, 1)[0])
    assert {key for part in sample_epoch(12, world) for key in part} == alone


def test_every_sample_has_its_own_seed() -> None:
    seeds = [seed for _, seed, _ in sample_epoch(1000, 1)[0]]
    assert len(set(seeds)) == 1000
    assert min(seeds) >= 0


@pytest.mark.parametrize("seed", [0, -5, 2**63, 2**64 - 1, 10**30])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    assert sorted(index for index, *_ in sample_epoch(5, 1, seed=seed)[0]) == list(range(5))


@SIZES
@WORLDS
def test_evaluation_shards_hold_every_sample_once_in_order(size: int, world: int) -> None:
    shards = [ShardSampler(size, rank, world) for rank in range(world)]
    indices = [[index for index, *_ in shard] for shard in shards]
    assert sorted(index for shard in indices for index in shard) == list(range(size))
    assert indices == [sorted(shard) for shard in indices]
    assert [len(shard) for shard in shards] == [len(shard) for shard in indices]
    assert max(map(len, indices)) - min(map(len, indices)) <= 1


# batches of several sizes

Size = tuple[int, int]
Batches = list[list[SampleKey]]

BASE = (256, 256)
PUBLISHED = {160: 327, 192: 227, 256: 128, 288: 101, 320: 81}  # arXiv 2110.02178, section 3.2: batches by side
SIZE_SETS: dict[str, list[Size]] = {
    "five": [(side, side) for side in PUBLISHED],
    "one": [(256, 256)],
    "far apart": [(32, 32), (512, 512)],
    "oblong": [(128, 384), (384, 128), (250, 300)],
}
IMAGES = pytest.mark.parametrize("images", [6, 7, 13, 40, 101, 1000])
TRAIN_SIZES = pytest.mark.parametrize("sizes", SIZE_SETS.values(), ids=SIZE_SETS)
BATCHES = pytest.mark.parametrize("base_batch", [2, 16])


def make_sampler(
    images: int,
    world: int = 1,
    sizes: list[Size] = SIZE_SETS["five"],
    base_batch: int = 16,
    rank: int = 0,
    seed: int = 3,
) -> MultiScaleBatches:
    return MultiScaleBatches(images, seed, sizes, BASE, base_batch, rank, world)


def batch_epoch(
    images: int, world: int, sizes: list[Size], base_batch: int, epoch: int = 0, seed: int = 3
) -> list[Batches]:
    """Return the batches of each process in one epoch."""
    parts: list[Batches] = []
    for rank in range(world):
        sampler = make_sampler(images, world, sizes, base_batch, rank, seed)
        sampler.set_epoch(epoch)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    return parts


def list_steps(parts: list[Batches]) -> list[tuple[Size, list[int]]]:
    """Return the size of every step and the number of images that each process has in it."""
    steps: list[tuple[Size, list[int]]] = []
    for batches in zip(*parts, strict=True):
        (size,) = {key.size for batch in batches for key in batch}
        assert size is not None
        steps.append((size, [len(batch) for batch in batches]))
    return steps


@pytest.mark.parametrize(("side", "batch"), PUBLISHED.items())
def test_batch_sizes_match_the_paper(side: int, batch: int) -> None:
    assert batch_size_at((side, side), BASE, 128) == batch


@pytest.mark.parametrize("side", [256, 300, 1000])
def test_batch_has_at_least_one_image(side: int) -> None:
    assert batch_size_at((side, side), BASE, 1) == 1


@IMAGES
@WORLDS
@TRAIN_SIZES
@BATCHES
def test_multi_scale_epoch_has_every_image_exactly_once(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    parts = batch_epoch(images, world, sizes, base_batch)
    assert sorted(key.image for part in parts for batch in part for key in batch) == list(range(images))


@IMAGES
@WORLDS
@TRAIN_SIZES
@BATCHES
def test_processes_share_size_and_images_of_each_step(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    for size, shares in list_steps(batch_epoch(images, world, sizes, base_batch)):
        assert size in sizes
        assert max(shares) - min(shares) <= 1
        assert min(shares) >= min(2, batch_size_at(size, BASE, base_batch))


@IMAGES
@WORLDS
@TRAIN_SIZES
@BATCHES
def test_all_steps_but_one_are_full_and_equal_in_every_epoch(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    whole = {size: world * batch_size_at(size, BASE, base_batch) for size in sizes}
    epochs: list[Counter[tuple[Size, int]]] = []
    for epoch in range(4):
        steps = Counter(
            (size, sum(shares)) for size, shares in list_steps(batch_epoch(images, world, sizes, base_batch, epoch))
        )
        assert steps.total() == len(make_sampler(images, world, sizes, base_batch))
        odd = [(size, count) for size, count in steps.elements() if count != whole[size]]
        assert len(odd) <= 1
        # the remaining images, or one of the largest steps plus images too few for a step of their own
        for size, count in odd:
            largest = max(whole[other] for other, _ in steps)
            assert count < whole[size] or (whole[size] == largest and count < largest + 2 * world)
        epochs.append(steps)
    same = epochs[0] & epochs[1] & epochs[2] & epochs[3]
    assert same.total() >= epochs[0].total() - 1


@TRAIN_SIZES
@pytest.mark.parametrize("base_batch", [4, 16, 128])
def test_steps_differ_in_pixels_by_less_than_one_image(sizes: list[Size], base_batch: int) -> None:
    target_pixels = base_batch * BASE[0] * BASE[1]
    images_of_a_round = sum(batch_size_at(size, BASE, base_batch) for size in sizes)
    for size, (count,) in list_steps(batch_epoch(2 * images_of_a_round, 1, sizes, base_batch)):
        area = size[0] * size[1]
        assert target_pixels - area < count * area <= target_pixels


@WORLDS
@TRAIN_SIZES
def test_sizes_take_turns(world: int, sizes: list[Size]) -> None:
    images_of_a_round = sum(world * batch_size_at(size, BASE, 16) for size in sizes)
    for images in (images_of_a_round, 5 * images_of_a_round // 2, 3 * images_of_a_round):
        counts = Counter(size for size, _ in list_steps(batch_epoch(images, world, sizes, 16)))
        assert set(counts) == set(sizes)
        assert max(counts.values()) - min(counts.values()) <= 2


def test_remaining_images_form_a_step_at_any_position() -> None:
    sizes = [(128, 128), (160, 160), (512, 512)]  # 64, 40 and 4 images a step
    found: set[tuple[int, Size]] = set()
    for epoch in range(100):
        steps = list_steps(batch_epoch(108 + 4 + 35, 1, sizes, 16, epoch))
        assert len(steps) == 5
        found |= {(number, size) for number, (size, (count,)) in enumerate(steps) if count == 35}
    assert found == {(number, size) for number in range(5) for size in sizes[:2]}


@WORLDS
def test_multi_scale_epochs_differ_and_repeat_with_the_seed(world: int) -> None:
    first = batch_epoch(1000, world, SIZE_SETS["five"], 16)
    assert first == batch_epoch(1000, world, SIZE_SETS["five"], 16)
    for other in (
        batch_epoch(1000, world, SIZE_SETS["five"], 16, epoch=1),
        batch_epoch(1000, world, SIZE_SETS["five"], 16, seed=4),
    ):
        assert [size for size, _ in list_steps(first)] != [size for size, _ in list_steps(other)]
        mine, theirs = (
            {key.image: key for part in parts for batch in part for key in batch} for parts in (first, other)
        )
        assert not {key.seed for key in mine.values()} & {key.seed for key in theirs.values()}
        assert sum(mine[image].size != theirs[image].size for image in mine) > 500


def test_order_and_seeds_match_single_scale_training() -> None:
    (batches,) = batch_epoch(100, 1, SIZE_SETS["five"], 16)
    assert [key[:2] for batch in batches for key in batch] == [key[:2] for key in ShuffledSampler(100, seed=3)]


@WORLDS
@pytest.mark.parametrize("epoch", [0, 3])
def test_resumed_epoch_has_exactly_the_remaining_steps(world: int, epoch: int) -> None:
    sampler = make_sampler(366, world, rank=world - 1)
    sampler.set_epoch(epoch)
    whole = list(sampler)
    for start in range(len(sampler) + 1):
        sampler.start = start
        assert list(sampler) == whole[start:]


@pytest.mark.parametrize(("images", "world"), [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_fewer_than_two_images_per_process_are_refused(
    images: int, world: int, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(DataError) as caught:
        make_sampler(images, world)
    assert_one_sentence(caught.value, f"{images} image", f"{world} process", "2")
    assert len(make_sampler(2 * world, world)) == 1
