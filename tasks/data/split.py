"""Base classes of the data sets of all tasks: annotated images of one split, read sample by sample."""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from ...errors import DataError, check_range, format_count, format_name
from ..images import Image, read_image
from ..preprocessing import Preprocessing
from .files import normalise_path
from .near_duplicates import group_near_duplicates
from .sampling import SampleKey
from .stratified import StratifiedDraw, Stratum, divide_large_groups
from .verification import ImageFacts, verify_images

#: images whose annotations do not tell whether they were made on the image as turned by its metadata
AMBIGUOUS = "images with an orientation that annotations cannot tell, read as turned"
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

    def strata(self) -> list[Stratum]:
        """Returns the kinds of images that training and validation get equal fractions of, the rarest first."""
        return [Stratum("", np.arange(len(self)))]

    def image_facts(self) -> ImageFacts:
        """Verifies all images, or reads what an earlier run found; see :func:`.verification.verify_images`."""
        return verify_images(self.folder, self.names)

    def find_invalid(self, facts: ImageFacts) -> dict[int, str]:
        """Returns one sentence for each image that cannot be used, by ascending index.

        Args:
            facts: those of the split's images; see :meth:`image_facts`.
        """
        return facts.errors

    def annotated_sizes(self) -> NDArray[np.int64] | None:
        """Returns the (height, width) that the annotations refer to, ``[I, 2]``; None if they refer to none."""
        return None


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
        groups_duplicates: whether near-duplicates are kept in one part, for which all images are read once.

    Raises:
        UserError: ``val_fraction`` or ``seed`` is out of range.
    """

    def __init__(self, val_fraction: float, seed: int, groups_duplicates: bool = True) -> None:
        check_range("val_fraction", val_fraction, gt=0, lt=1)
        check_range("split_seed", seed, ge=0)
        self.val_fraction = val_fraction
        self.seed = seed
        self.groups_duplicates = groups_duplicates
        self._parts: dict[str, S] = {}  # parts not requested yet, kept so that nothing is read twice

    def part(self, split: str, read: Callable[[], S]) -> S:
        """Returns the "train" or "val" part of the split that ``read`` returns."""
        if split not in self._parts:
            train, val = divide(read(), self.val_fraction, self.seed, self.groups_duplicates)
            self._parts = {"train": train, "val": val}
        return self._parts.pop(split)


def divide(split: S, fraction: float, seed: int, groups_duplicates: bool = True) -> tuple[S, S]:
    """Divides ``split`` at random into two parts; the second has about ``fraction`` of each stratum.

    The parts depend only on ``seed``, the strata and which images are near-duplicates.

    Raises:
        DataError: a stratum that both parts must contain has only one image.
    """
    strata = split.strata()
    for stratum in strata:
        if stratum.is_required and len(stratum.images) == 1:
            of = f" of {format_name(stratum.name)}" if stratum.name else ""
            raise DataError(f"{split.source} has 1 image{of}, too few for training and validation.")
    groups = group_near_duplicates(split.image_facts().hashes) if groups_duplicates else np.arange(len(split))
    groups, divided = divide_large_groups(groups, strata, fraction)
    draw = StratifiedDraw(strata, groups)
    draw.run(fraction, np.random.default_rng(seed))
    second = draw.is_drawn
    note = f"{split.source}: {int(second.sum())} of {len(split)} images, drawn with seed {seed}, are for validation"
    together = int((np.bincount(groups) > 1).sum())
    note += f"; groups of near-duplicates kept together: {together}" if together else ""
    note += f"; groups too large for that: {divided}" if divided else ""
    return split.take(~second), replace(split.take(second), notes=(f"{note}.",))


def drop_invalid_images(split: S, on_invalid: OnInvalid) -> tuple[S, tuple[str, ...]]:
    """Verifies all images and their masks, if it has some, before training.

    Returns:
        The split without images that cannot be used, and one sentence for each of these and for doubtful orientations.

    Raises:
        DataError: images cannot be used and ``on_invalid`` is "raise", or none can be used.
    """
    facts = split.image_facts()
    invalid = split.find_invalid(facts)
    notes = (*invalid.values(), *note_ambiguous_orientations(split, facts))
    if not invalid:
        return split, notes
    first = next(iter(invalid.values()))
    if len(invalid) == len(split):
        raise DataError(f"None of {len(split)} images of {split.source} can be used: {first}")
    if on_invalid == "raise":
        raise DataError(
            f"{len(invalid)} of {len(split)} images of {split.source} cannot be used; leave them out with "
            f"--data.on_invalid=skip, or list them with litmobile inspect; the first: {first}"
        )
    valid = np.ones(len(split), dtype=bool)
    valid[list(invalid)] = False
    return split.take(valid), notes


def note_ambiguous_orientations(split: Split, facts: ImageFacts) -> tuple[str, ...]:
    """Returns a sentence about images whose annotations fit them both rotated and as stored, if there are any."""
    sizes = split.annotated_sizes()
    number = 0 if sizes is None else int(facts.is_ambiguous(sizes).sum())
    if not number:
        return ()
    return (f"{split.source}: {format_count(number, AMBIGUOUS)}.",)


def note_shared_images(splits: Mapping[str, Split]) -> tuple[str, ...]:
    """Returns a sentence about every two of ``splits`` that contain the same files, also by links to folders."""
    folders = {name: resolve_folders(split) for name, split in splits.items()}
    notes: list[str] = []
    for one, other in itertools.combinations(splits, 2):
        common = {*folders[one].values()} & {*folders[other].values()}
        a, b = (list_files(splits[name], folders[name], common) if common else set() for name in (one, other))
        if shared := len(a & b):
            images = format_count(shared, "images")
            notes.append(
                f"{splits[other].source}: {images} in {other} and in {one}; figures of {other} will be too high."
            )
    return tuple(notes)


def resolve_folders(split: Split) -> dict[str, str]:
    """Returns the real path of each folder with images, by its path relative to ``split.folder``."""
    inner = {name.rpartition("/")[0] for name in split.names.tolist()}
    return {folder: os.path.realpath(split.folder / folder) for folder in inner}


def list_files(split: Split, folders: Mapping[str, str], wanted: Collection[str]) -> set[tuple[str, str]]:
    """Returns folder and name of the images whose real folder, as ``folders`` gives it, is ``wanted``."""
    parts = (name.rpartition("/") for name in split.names.tolist())
    return {(folders[folder], name) for folder, _, name in parts if folders[folder] in wanted}


def find_errors(read: Callable[[int], object], indices: Iterable[int]) -> dict[int, str]:
    """Returns the message of the DataError that ``read`` raises, by index; indices that can be read are left out."""
    errors: dict[int, str] = {}
    for index in indices:
        try:
            read(index)
        except DataError as error:
            errors[index] = str(error)
    return errors


def check_distinct(classes: Sequence[str], source: Path | str) -> None:
    """Raises DataError if ``source`` names a class twice."""
    repeated = [name for name, number in Counter(map(normalise_path, classes)).items() if number > 1]
    if repeated:
        raise DataError(f"{source} names the class {format_name(repeated[0])} twice.")
