"""The order in which samples are seen, and the seed that each gets: the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler


class SampleKey(NamedTuple):
    """What a data set is asked for.

    Attributes:
        image: which one, by index.
        seed: of all that is random about it this time.
        size: (height, width) of the input this time; None takes the preprocessing's.
    """

    image: int
    seed: int
    size: tuple[int, int] | None = None


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """Draws all that is random about the order of an epoch; ``seed`` may be any whole number."""
    return torch.Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)


class ShuffledSampler(Sampler[SampleKey]):
    """Every sample once an epoch, in an order and with seeds that follow from (``seed``, epoch) alone.

    Seeds travel with the indices, so that what augmentation draws depends neither on the number of workers nor on what
    a worker's own generators hold; libraries that keep generators of their own otherwise repeat themselves in every
    worker.

    Args:
        size: number of samples.
        seed: any whole number.
        rank: this process among ``world`` that share the samples; the remainder that does not divide is left out.
        world: number of processes.

    Attributes:
        epoch: which epoch's order to give.
        start: how many of this process's samples the next iteration leaves out.
    """

    def __init__(self, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.size = size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size // self.world

    def __iter__(self) -> Iterator[SampleKey]:
        generator = epoch_generator(self.seed, self.epoch)
        order = torch.randperm(self.size, generator=generator)
        seeds = torch.randint(2**62, (self.size,), generator=generator)
        mine = slice(self.rank + self.start * self.world, len(self) * self.world, self.world)
        yield from map(SampleKey, order[mine].tolist(), seeds[mine].tolist())


class ShardSampler(Sampler[SampleKey]):
    """Every sample exactly once over all processes, in order and without repeats, for evaluation.

    Attributes:
        epoch: always 0: the order is the same in every epoch.
        start: how many of this process's samples the next iteration leaves out.
    """

    def __init__(self, size: int, rank: int = 0, world: int = 1) -> None:
        self.indices = range(rank, size, world)
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[SampleKey]:
        return (SampleKey(index, 0) for index in self.indices[self.start :])
