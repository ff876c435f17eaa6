"""Batches of several input sizes in turn whose work is level, as MobileViT trains (arXiv 2110.02178, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import torch
from torch.utils.data import Sampler

from ..errors import DataError
from .sampling import SampleKey, epoch_generator

LEAST_IMAGES = 2  # of a step and process: what batch norms need where a map has one pixel


def batch_of(size: tuple[int, int], base_size: tuple[int, int], base_batch: int) -> int:
    """Images of ``size`` (height, width) that are as much work as ``base_batch`` of ``base_size``; at least 1."""
    return max(1, base_batch * base_size[0] * base_size[1] // (size[0] * size[1]))


class Step(NamedTuple):
    """The (height, width) of a step's input and how many images it has over all processes."""

    size: tuple[int, int]
    images: int


class MultiScaleBatches(Sampler[list[SampleKey]]):
    """Every image once an epoch, in batches of several sizes, the same size in all processes at each step.

    An epoch has the same number of steps every time: as many rounds of all sizes as the images suffice for, then the
    sizes that still fit, then one smaller step with what is left, whose size is drawn among those that have room for
    it. What is too little for a step joins one of the largest. The order of the steps and which images they hold follow
    from (``seed``, epoch) alone.

    Args:
        images: number of samples.
        seed: any whole number.
        sizes: (height, width) of the inputs.
        base_size: (height, width) that ``base_batch`` is meant for.
        base_batch: images a step and process at ``base_size``; :func:`batch_of` gives those of the other sizes.
        rank: this process among ``world`` that share every step.
        world: number of processes.

    Attributes:
        epoch: which epoch's batches to give.
        start: how many steps the next iteration leaves out.

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
        if images < LEAST_IMAGES * world:
            raise DataError(
                f"{images} image{'' if images == 1 else 's'} cannot be trained on in several sizes by {world} "
                f"process{'' if world == 1 else 'es'}: each needs {LEAST_IMAGES} at least."
            )
        self.images = images
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.start = 0
        largest_first = sorted(
            (Step(size, world * batch_of(size, base_size, base_batch)) for size in sizes),
            key=lambda step: -step.images,
        )
        self._whole, left = whole_steps(images, largest_first)
        if 0 < left < LEAST_IMAGES * world and self._whole:
            self._whole[0] = Step(self._whole[0].size, self._whole[0].images + left)
            left = 0
        self._last = [Step(step.size, left) for step in largest_first if 0 < left <= step.images]

    @property
    def sampler(self) -> Self:
        """Itself: for ``set_epoch``, Lightning asks a loader's batch sampler for a sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._whole) + bool(self._last)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        generator = epoch_generator(self.seed, self.epoch)
        order = torch.randperm(self.images, generator=generator)
        seeds = torch.randint(2**62, (self.images,), generator=generator)
        begin = 0
        for number, (size, images) in enumerate(self._steps(generator)):
            mine = slice(begin + self.rank, begin + images, self.world)
            begin += images
            if number >= self.start:
                yield [SampleKey(*key, size) for key in zip(order[mine].tolist(), seeds[mine].tolist(), strict=True)]

    def _steps(self, generator: torch.Generator) -> list[Step]:
        """The steps of an epoch in its order."""
        steps = list(self._whole)
        if self._last:
            steps.append(self._last[int(torch.randint(len(self._last), (), generator=generator))])
        return [steps[number] for number in torch.randperm(len(steps), generator=generator).tolist()]


def whole_steps(images: int, largest_first: Sequence[Step]) -> tuple[list[Step], int]:
    """The steps that ``images`` suffice for, a largest one in front, and how many images are left, fewer than that has.

    Args:
        images: to share out.
        largest_first: one step of each size.
    """
    rounds, left = divmod(images, sum(step.images for step in largest_first))
    steps = list(largest_first) * rounds
    for step in largest_first:
        if step.images <= left:
            steps.append(step)
            left -= step.images
    return steps, left
