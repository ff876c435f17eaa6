"""Samplers: order and seeds of samples, and batches of several image sizes, the same with any number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self, TypeVar

import torch
from torch import Tensor
from torch.utils.data import Sampler

from ...errors import DataError

MIN_IMAGES = 2  # per step and process: batch norms need two values if a feature map has a single pixel


T = TypeVar("T")


class SampleKey(NamedTuple):
    """Key of a dataset's item.

    Attributes:
        image: index of the image.
        seed: seed of all randomness in the sample.
        size: (height, width) of the network's input. Default: that of the preprocessing.
    """

    image: int
    seed: int
    size: tuple[int, int] | None = None


class EpochSampler(Sampler[T]):
    """Base class of samplers that shuffle; order and seeds depend on (``seed``, epoch) alone.

    Every index carries its seed. Augmentation therefore depends neither on the number of workers nor on their random
    generators, which would repeat the same draws in every worker.

    Args:
        size: number of samples.
        seed: any integer.
        rank: index of this process among the ``world`` that share the samples.
        world: number of processes.

    Attributes:
        epoch: the epoch whose order is yielded.
        start: number of this process's items that the next iteration skips.
        repeats: whether every epoch has the order and the seeds of the first, to overfit a few batches.
    """

    repeats = False

    def __init__(self, size: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.size = size
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch; Lightning calls this before every epoch."""
        self.epoch = epoch

    def shuffle(self) -> tuple[Tensor, Tensor, torch.Generator]:
        """Returns the indices in the order of the epoch, their seeds, and the generator that drew both."""
        epoch = 0 if self.repeats else self.epoch
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        order = torch.randperm(self.size, generator=generator)
        return order, torch.randint(2**62, (self.size,), generator=generator), generator


class ShuffledSampler(EpochSampler[SampleKey]):
    """Yields every sample once per epoch; samples that the processes cannot share equally are left out."""

    def __len__(self) -> int:
        return self.size // self.world

    def __iter__(self) -> Iterator[SampleKey]:
        order, seeds, _ = self.shuffle()
        mine = slice(self.rank + self.start * self.world, len(self) * self.world, self.world)
        yield from map(SampleKey, order[mine].tolist(), seeds[mine].tolist())


class ShardSampler(Sampler[SampleKey]):
    """Yields every sample exactly once over all processes, in order, for evaluation.

    Attributes:
        epoch: always 0, because the order is the same in every epoch.
        start: number of this process's samples that the next iteration skips.
    """

    def __init__(self, size: int, rank: int = 0, world: int = 1) -> None:
        self.indices = range(rank, size, world)
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[SampleKey]:
        return (SampleKey(index, 0) for index in self.indices[self.start :])


def batch_size_at(size: tuple[int, int], base_size: tuple[int, int], base_batch: int) -> int:
    """Batch size at ``size`` with about as many pixels as ``base_batch`` images of ``base_size``; at least 1."""
    return max(1, base_batch * base_size[0] * base_size[1] // (size[0] * size[1]))


class Step(NamedTuple):
    """The (height, width) of a step's input and its number of images over all processes."""

    size: tuple[int, int]
    images: int


class MultiScaleBatches(EpochSampler[list[SampleKey]]):
    """Batches of several image sizes with about equal cost per step (MobileViT, arXiv 2110.02178, section 3.2).

    Every image occurs once per epoch, and all processes use the same size at each step. Every epoch has the same number
    of steps: as many rounds over all sizes as the images allow, and one step of each size that the remaining images
    fill. The rest forms one smaller step, at a random size that has room for it. A rest that is too small for a step is
    added to one of the largest steps. Order and contents of the steps depend on (``seed``, epoch) alone.

    Args:
        images: number of samples.
        seed: any integer.
        sizes: (height, width) of the inputs.
        base_size: (height, width) at which a step has ``base_batch`` images.
        base_batch: images per step and process at ``base_size``; :func:`batch_size_at` gives those of the other sizes.
        rank: index of this process among the ``world`` that share every step.
        world: number of processes.

    Raises:
        DataError: a process would have fewer than two images.
    """

    def __init__(
        self,
        images: int,
        seed: int,
        sizes: Sequence[tuple[int, int]],
        base_size: tuple[int, int],
        base_batch: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if images < MIN_IMAGES * world:
            raise DataError(
                f"Training in several sizes needs at least {MIN_IMAGES} images per process, not {images} image(s) for "
                f"{world} process(es)."
            )
        super().__init__(images, seed, rank, world)
        largest_first = sorted(
            (Step(size, world * batch_size_at(size, base_size, base_batch)) for size in sizes),
            key=lambda step: -step.images,
        )
        self._full, left = full_steps(images, largest_first)
        if 0 < left < MIN_IMAGES * world and self._full:
            self._full[0] = Step(self._full[0].size, self._full[0].images + left)
            left = 0
        self._last = [Step(step.size, left) for step in largest_first if 0 < left <= step.images]

    @property
    def sampler(self) -> Self:
        """Returns itself, because Lightning calls ``set_epoch`` on the ``sampler`` of a batch sampler."""
        return self

    def __len__(self) -> int:
        return len(self._full) + bool(self._last)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order, seeds, generator = self.shuffle()
        begin = 0
        for number, (size, images) in enumerate(self._steps(generator)):
            mine = slice(begin + self.rank, begin + images, self.world)
            begin += images
            if number >= self.start:
                yield [SampleKey(*key, size) for key in zip(order[mine].tolist(), seeds[mine].tolist(), strict=True)]

    def _steps(self, generator: torch.Generator) -> list[Step]:
        """Returns the steps of an epoch in their order."""
        steps = list(self._full)
        if self._last:
            steps.append(self._last[int(torch.randint(len(self._last), (), generator=generator))])
        return [steps[number] for number in torch.randperm(len(steps), generator=generator).tolist()]


def full_steps(images: int, largest_first: Sequence[Step]) -> tuple[list[Step], int]:
    """Returns the full steps that ``images`` can fill, a largest one first, and the number of images left over.

    Args:
        images: number of images.
        largest_first: one step of each size.
    """
    rounds, left = divmod(images, sum(step.images for step in largest_first))
    steps = list(largest_first) * rounds
    for step in largest_first:
        if step.images <= left:
            steps.append(step)
            left -= step.images
    return steps, left
