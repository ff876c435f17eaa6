"""Base classes of the data sets of all tasks: annotated images of one split, read sample by sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ...errors import DataError, check_range, format_name
from ..preprocessing import Preprocessing
from .images import Image, read_image
from .sampling import SampleKey

#: what to do with images and annotation files that cannot be used
OnInvalid = Literal["raise", "skip"]
Rows = NDArray[np.bool_] | NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Split(ABC):
    """Annotated images of one split, in flat arrays, which worker processes share without copies.

    Attributes:
        source: file or folder that messages name.
        folder: folder of the images.
        names: file names relative to ``folder``, ``[I]``.
        classes: names of the foreground classes.
        notes: one sentence for each repair or omission while reading.
    """

    source: Path
    folder: Path
    names: NDArray[np.str_]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.names):
            raise DataError(f"{self.source} contains no images.")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def path(self, index: int) -> Path:
        """Returns the file of image ``index``."""
        return self.folder / str(self.names[index])

    def image(self, index: int) -> Image:
        """Reads image ``index``, ``[H, W, 3]`` uint8 RGB.

        Raises:
            DataError: the image cannot be read, or is not what its annotations say.
        """
        return read_image(self.path(index))

    @abstractmethod
    def sample(self, index: int) -> Any:
        """Reads image ``index`` with its annotations.

        Raises:
            DataError: see :meth:`image`.
        """

    def encoded_sample(self, index: int) -> Any:
        """Like :meth:`sample`, but the image may be an :class:`.images.EncodedImage`, which is decoded on demand."""
        return self.sample(index)

    def take(self, rows: Rows) -> Self:
        """Returns the images that ``rows`` selects: a mask ``[I]``, or indices in a new order."""
        return replace(self, names=self.names[rows])

    def in_evaluation_order(self) -> Self:
        """Returns the images in evaluation order; the first batch is drawn, so it should show the split's variety."""
        return self

    def strata(self) -> dict[str, NDArray[np.intp]]:
        """Returns image indices by the kinds that training and validation both need; "" names a single kind."""
        return {"": np.arange(len(self))}


S = TypeVar("S", bound=Split)
#: takes a sample, the preprocessing and a random generator, and returns the sample as the network's input
Transform = Callable[[Any, Preprocessing, np.random.Generator], Any]


class SplitDataset(Dataset[Any]):
    """Samples of one split, augmented and resized to the network's input.

    All randomness of an item follows from the seed in its key. A DataError is returned as the item, because an error
    raised in a worker process reaches the training process only as text. A transform that sets ``accepts_encoded`` gets
    images that are not decoded yet, so that it can draw a crop first and decode only what the crop shows.

    Args:
        split: the annotated images.
        preprocessing: how images become the input.
        transform: augmentation, or plain resizing for evaluation.
    """

    def __init__(self, split: Split, preprocessing: Preprocessing, transform: Transform) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.transform = transform
        self.read = split.encoded_sample if getattr(transform, "accepts_encoded", False) else split.sample

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: SampleKey) -> tuple[Any, int] | DataError:
        preprocessing = self.preprocessing
        if key.size is not None:
            preprocessing = replace(preprocessing, size=key.size)
        try:
            sample = self.read(key.image)
            return self.transform(sample, preprocessing, np.random.default_rng(key.seed)), key.image
        except DataError as error:
            return error


class TrainValSplit(Generic[S]):
    """Sets a fraction of the training images aside for validation, and keeps each part until it is requested.

    Args:
        val_fraction: fraction of the images for validation, between 0 and 1.
        seed: seed that selects these images.

    Raises:
        UserError: ``val_fraction`` or ``seed`` is out of range.
    """

    def __init__(self, val_fraction: float, seed: int) -> None:
        check_range("val_fraction", val_fraction, gt=0, lt=1)
        check_range("split_seed", seed, ge=0)
        self.val_fraction = val_fraction
        self.seed = seed
        self._parts: dict[str, S] = {}  # parts not requested yet, kept so that nothing is read twice

    def part(self, split: str, read: Callable[[], S]) -> S:
        """Returns the "train" or "val" part of the split that ``read`` returns."""
        if split not in self._parts:
            train, val = divide(read(), self.val_fraction, self.seed)
            self._parts = {"train": train, "val": val}
        return self._parts.pop(split)


def divide(split: S, fraction: float, seed: int) -> tuple[S, S]:
    """Divides ``split`` at random into two parts; the second has about ``fraction`` of each stratum.

    The parts depend only on ``seed`` and the strata.

    Raises:
        DataError: a stratum has only one image.
    """
    random = np.random.default_rng(seed)
    second = np.zeros(len(split), dtype=bool)
    for name, rows in split.strata().items():
        if len(rows) == 1:
            of = f" of {format_name(name)}" if name else ""
            raise DataError(f"{split.source} has 1 image{of}, too few for training and validation.")
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        second[random.permutation(rows)[:count]] = True
    note = f"{split.source}: {int(second.sum())} of {len(split)} images, drawn with seed {seed}, are for validation."
    return split.take(~second), replace(split.take(second), notes=(note,))


def check_distinct(classes: Sequence[str], source: Path | str) -> None:
    """Raises DataError if ``source`` names a class twice."""
    repeated = [name for name, number in Counter(classes).items() if number > 1]
    if repeated:
        raise DataError(f"{source} names the class {format_name(repeated[0])} twice.")
