"""Shared by the inspections of all tasks: reads the splits and checks whether training would accept them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from tqdm import tqdm

from ...errors import DataError, TaskError
from ...tasks.data.module import DataModule
from ...tasks.data.split import Split, find_errors
from ...tasks.data.verification import ImageFacts
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from .duplicates import find_near_duplicates, format_near_duplicates
from .figures import Facts, format_list

FIT_SPLITS = ("train", "val")  # read by `litmobile fit`

S = TypeVar("S", bound=Split)

#: one sentence for each invalid image, by split; None if images were not read
InvalidImages = Mapping[str, Sequence[str]] | None


class Inspection(NamedTuple):
    """The result of an inspection: facts for ``--json``, and the printed text."""

    facts: Facts
    text: str


class Verified(NamedTuple):
    """The images of a split.

    Attributes:
        facts: sizes and hashes.
        invalid: one sentence for each image that cannot be used, by index.
    """

    facts: ImageFacts
    invalid: dict[int, str]


class DataReading(Generic[S]):
    """Reads all splits as training does; a split that training would refuse is read without its invalid records.

    Args:
        data: the data set.
        task: its preprocessing is used if ``data`` has none; None if no model is given.
        size: (height, width) of the input in pixels if no model is given.
        default: preprocessing if neither ``data`` nor ``task`` has one.

    Attributes:
        preprocessing: how images become the network's input.
        splits: readable splits, without records that cannot be used.
        not_read: reason for each split that cannot be read.
        refused: reason for each readable split that training refuses.
        verified: facts about the images of each readable split; empty until :meth:`verify`.

    Raises:
        DataError: no split can be read.
        TaskError: both ``task`` and ``size`` are given.
    """

    def __init__(
        self, data: DataModule[S], task: Task | None, size: Sequence[int] | None, default: Preprocessing
    ) -> None:
        if task is not None and size is not None and data.preprocessing is None:
            raise TaskError("--size cannot be used with a model; use --model.preprocessing.size=[HEIGHT,WIDTH].")
        if size is not None:
            default = replace(default, size=(size[0], size[1]))
        self.preprocessing = data.preprocessing or (default if task is None else task.preprocessing)
        self.data = data
        self.on_invalid = data.on_invalid
        self.splits: dict[str, S] = {}
        self.verified: dict[str, Verified] = {}
        errors: dict[str, DataError | OSError] = {}
        for name in ("train", "val", "test"):
            for policy in dict.fromkeys((self.on_invalid, "skip")):
                data.on_invalid = policy
                try:
                    self.splits[name] = data.read(name)
                    break
                except (DataError, OSError) as error:  # a user's data set may raise OSError for a missing split
                    errors[name] = error
        if not self.splits:
            raise errors["train"]
        self.not_read = {name: str(error) for name, error in errors.items() if name not in self.splits}
        self.refused = {name: str(error) for name, error in errors.items() if name in self.splits}

    def verify(self) -> None:
        """Verifies the images of all splits; those that a training or an inspection verified are not read again."""
        for name, split in self.splits.items():
            facts = split.image_facts()
            self.verified[name] = Verified(facts, split.find_invalid(facts))

    def invalid_images(self) -> dict[str, list[str]] | None:
        """Returns one sentence for each invalid image, by split; None if images were not verified."""
        return {name: list(found.invalid.values()) for name, found in self.verified.items()} or None

    def blocking_issues(self, invalid_images: InvalidImages) -> list[str]:
        """Reasons why training would stop, one sentence each."""
        issues = [f"{name} cannot be read: {self.not_read[name]}" for name in FIT_SPLITS if name in self.not_read]
        issues += [self.refused[name] for name in FIT_SPLITS if name in self.refused]
        self.data.splits = dict(self.splits)
        try:
            self.data.check_splits()
        except DataError as error:
            issues.append(str(error))
        for name, faults in (invalid_images or {}).items():
            if name not in FIT_SPLITS or not faults:
                continue
            images = len(self.splits[name])
            if len(faults) == images:
                issues.append(f"None of the {images} images of {name} can be used: {faults[0]}")
            elif self.on_invalid == "raise":
                skip = "leave them out with --data.on_invalid=skip."
                issues.append(f"{len(faults)} of {images} images of {name} cannot be used; {skip}")
        return issues

    def inspection(
        self,
        splits: dict[str, Facts],
        format_split: Callable[[Facts], str],
        invalid_images: InvalidImages,
        facts: Facts,
        texts: Sequence[str],
        overview: Sequence[str] = (),
        issues: Sequence[str] = (),
    ) -> Inspection:
        """Combines the report that all tasks share with the ``facts`` and paragraphs of one task.

        Args:
            splits: facts of each split.
            format_split: formats the facts of one split.
            invalid_images: one sentence for each invalid image, by split; None if images were not read.
            facts: further facts of the task.
            texts: paragraphs that show the further facts.
            overview: paragraphs that come first.
            issues: further reasons why training would stop.
        """
        issues = [*self.blocking_issues(invalid_images), *issues]
        height, width = self.preprocessing.size
        paragraphs = [*overview, f"network input: {width}×{height} pixels ({self.preprocessing.fit})"]
        for name, split in self.splits.items():
            splits[name] = {"source": str(split.source), **splits[name], "notes": list(split.notes)}
            paragraphs.append(f"{name}\n{format_split(splits[name])}")
        paragraphs += [f"{name} was not read: {reason}" for name, reason in self.not_read.items()]
        paragraphs += [f"Training would stop: {issue}" for issue in issues]
        if invalid_images is None:
            paragraphs.append("Images were not read.")
        else:
            paragraphs += [format_list(f"invalid in {name}", faults) for name, faults in invalid_images.items()]
        if self.verified:
            named = {name: self.splits[name].names for name in self.verified}
            near = find_near_duplicates(named, {name: found.facts.hashes for name, found in self.verified.items()})
            facts = {**facts, "near_duplicates": near}
            texts = [*texts, format_near_duplicates(near)]
        common = {"input": asdict(self.preprocessing), "splits": splits, "not_read": self.not_read}
        common |= {"blocking_issues": issues, "invalid_images": invalid_images}
        return Inspection({**common, **facts}, "\n\n".join([*paragraphs, *texts]))


def visit_images(name: str, indices: Iterable[int], visit: Callable[[int], object]) -> dict[int, str]:
    """Calls ``visit`` with each index, in several threads and with a progress bar.

    Returns:
        The message of the DataError that ``visit`` raised, by index.
    """
    indices = list(indices)
    bar = partial(tqdm, desc=f"Reading {name}", total=len(indices), unit=" images", delay=1, dynamic_ncols=True)
    with ThreadPoolExecutor() as threads:  # decoding releases the GIL
        found = threads.map(lambda index: find_errors(visit, (index,)), indices)
        return {index: error for errors in bar(found) for index, error in errors.items()}
