"""Batches of several sizes: every image once, level work, the same size everywhere, and the same ones for a seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from litmobile.errors import DataError
from litmobile.tasks.sampling import MultiScaleBatches, SampleKey, ShuffledSampler, batch_size_at

Size = tuple[int, int]
Batches = list[list[SampleKey]]

BASE = (256, 256)
PUBLISHED = {160: 327, 192: 227, 256: 128, 288: 101, 320: 81}  # arXiv 2110.02178, section 3.2: batches by side
SIZES: dict[str, list[Size]] = {
    "five": [(side, side) for side in PUBLISHED],
    "one": [(256, 256)],
    "far apart": [(32, 32), (512, 512)],
    "oblong": [(128, 384), (384, 128), (250, 300)],
}
IMAGES = pytest.mark.parametrize("images", [6, 7, 13, 40, 101, 1000])
WORLDS = pytest.mark.parametrize("world", [1, 2, 3])
SIZED = pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
BATCHES = pytest.mark.parametrize("base_batch", [2, 16])


def sampler_of(
    images: int, world: int = 1, sizes: list[Size] = SIZES["five"], base_batch: int = 16, rank: int = 0, seed: int = 3
) -> MultiScaleBatches:
    return MultiScaleBatches(images, seed, sizes, BASE, base_batch, rank, world)


def epoch_of(
    images: int, world: int, sizes: list[Size], base_batch: int, epoch: int = 0, seed: int = 3
) -> list[Batches]:
    """The batches that each process is given in one epoch."""
    parts: list[Batches] = []
    for rank in range(world):
        sampler = sampler_of(images, world, sizes, base_batch, rank, seed)
        sampler.set_epoch(epoch)
        parts.append(list(sampler))
        assert len(parts[-1]) == len(sampler)
    return parts


def steps_of(parts: list[Batches]) -> list[tuple[Size, list[int]]]:
    """Size of every step, and how many images each process has in it."""
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
@SIZED
@BATCHES
def test_multi_scale_epoch_has_every_image_exactly_once(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    parts = epoch_of(images, world, sizes, base_batch)
    assert sorted(key.image for part in parts for batch in part for key in batch) == list(range(images))


@IMAGES
@WORLDS
@SIZED
@BATCHES
def test_processes_share_size_and_images_of_each_step(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    for size, shares in steps_of(epoch_of(images, world, sizes, base_batch)):
        assert size in sizes
        assert max(shares) - min(shares) <= 1
        assert min(shares) >= min(2, batch_size_at(size, BASE, base_batch))


@IMAGES
@WORLDS
@SIZED
@BATCHES
def test_all_steps_but_one_are_full_and_equal_in_every_epoch(
    images: int, world: int, sizes: list[Size], base_batch: int
) -> None:
    whole = {size: world * batch_size_at(size, BASE, base_batch) for size in sizes}
    epochs: list[Counter[tuple[Size, int]]] = []
    for epoch in range(4):
        steps = Counter(
            (size, sum(shares)) for size, shares in steps_of(epoch_of(images, world, sizes, base_batch, epoch))
        )
        assert steps.total() == len(sampler_of(images, world, sizes, base_batch))
        odd = [(size, count) for size, count in steps.elements() if count != whole[size]]
        assert len(odd) <= 1
        for size, count in odd:  # what is left, or the largest with what is too little for a step
            largest = max(whole[other] for other, _ in steps)
            assert count < whole[size] or (whole[size] == largest and count < largest + 2 * world)
        epochs.append(steps)
    same = epochs[0] & epochs[1] & epochs[2] & epochs[3]
    assert same.total() >= epochs[0].total() - 1


@SIZED
@pytest.mark.parametrize("base_batch", [4, 16, 128])
def test_steps_differ_in_pixels_by_less_than_one_image(sizes: list[Size], base_batch: int) -> None:
    level = base_batch * BASE[0] * BASE[1]
    round_of_all = sum(batch_size_at(size, BASE, base_batch) for size in sizes)
    for size, (count,) in steps_of(epoch_of(2 * round_of_all, 1, sizes, base_batch)):
        area = size[0] * size[1]
        assert level - area < count * area <= level


@WORLDS
@SIZED
def test_sizes_take_turns(world: int, sizes: list[Size]) -> None:
    round_of_all = sum(world * batch_size_at(size, BASE, 16) for size in sizes)
    for images in (round_of_all, 5 * round_of_all // 2, 3 * round_of_all):
        counts = Counter(size for size, _ in steps_of(epoch_of(images, world, sizes, 16)))
        assert set(counts) == set(sizes)
        assert max(counts.values()) - min(counts.values()) <= 2


def test_remaining_images_form_a_step_at_any_position() -> None:
    sizes = [(128, 128), (160, 160), (512, 512)]  # 64, 40 and 4 images a step
    found: set[tuple[int, Size]] = set()
    for epoch in range(100):
        steps = steps_of(epoch_of(108 + 4 + 35, 1, sizes, 16, epoch))
        assert len(steps) == 5
        found |= {(number, size) for number, (size, (count,)) in enumerate(steps) if count == 35}
    assert found == {(number, size) for number in range(5) for size in sizes[:2]}


@WORLDS
def test_multi_scale_epochs_differ_and_repeat_with_the_seed(world: int) -> None:
    first = epoch_of(1000, world, SIZES["five"], 16)
    assert first == epoch_of(1000, world, SIZES["five"], 16)
    for other in (epoch_of(1000, world, SIZES["five"], 16, epoch=1), epoch_of(1000, world, SIZES["five"], 16, seed=4)):
        assert [size for size, _ in steps_of(first)] != [size for size, _ in steps_of(other)]
        mine, theirs = (
            {key.image: key for part in parts for batch in part for key in batch} for parts in (first, other)
        )
        assert not {key.seed for key in mine.values()} & {key.seed for key in theirs.values()}
        assert sum(mine[image].size != theirs[image].size for image in mine) > 500


def test_order_and_seeds_match_single_scale_training() -> None:
    (batches,) = epoch_of(100, 1, SIZES["five"], 16)
    assert [key[:2] for batch in batches for key in batch] == [key[:2] for key in ShuffledSampler(100, seed=3)]


@WORLDS
@pytest.mark.parametrize("epoch", [0, 3])
def test_resumed_epoch_has_exactly_the_remaining_steps(world: int, epoch: int) -> None:
    sampler = sampler_of(366, world, rank=world - 1)
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
        sampler_of(images, world)
    assert_one_sentence(caught.value, f"{images} image", f"{world} process", "2")
    assert len(sampler_of(2 * world, world)) == 1
