"""All that is looked at in detection data before a training: objects, pictures that cannot be read, anchors."""

from __future__ import annotations

from dataclasses import dataclass

from ...tasks.detection import DetectionDataModule
from ...tasks.detection.statistics import SharedPicture, SplitStatistics, shared_pictures, statistics
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from .anchors import AnchorReport, anchor_report
from .splits import faults, read_splits, stops


@dataclass(frozen=True)
class Inspection:
    """What is known of the data.

    Attributes:
        input: how images become the network's input.
        splits: what was read, by "train", "val" and "test".
        not_read: why other splits were not.
        stops: where a training with the same options would stop, a sentence each.
        shared: pictures that two splits have.
        broken: by split, what is wrong with pictures, a sentence each; None where pictures were not read.
        anchors: how they suit the first of the splits, or a sentence why nothing is said of them.
    """

    input: Preprocessing
    splits: dict[str, SplitStatistics]
    not_read: dict[str, str]
    stops: list[str]
    shared: list[SharedPicture]
    broken: dict[str, list[str]] | None
    anchors: AnchorReport | str


def inspect_detection(
    data: DetectionDataModule, task: Task | None, preprocessing: Preprocessing, pictures: bool
) -> Inspection:
    """Reads all splits and looks at them.

    Args:
        data: whose annotations are read; records that can be left out are, and named in the split's notes.
        task: whose anchors are measured; None takes the published SSDLite's.
        preprocessing: how images become the input.
        pictures: whether to read every picture.

    Raises:
        DataError: there is no split that can be read.
    """
    reading = read_splits(data)
    splits = reading.splits
    first = next(iter(splits))
    broken = {name: faults(name, split) for name, split in splits.items()} if pictures else None
    return Inspection(
        input=preprocessing,
        splits={name: statistics(split, preprocessing) for name, split in splits.items()},
        not_read=reading.not_read,
        stops=stops(data, reading, broken),
        shared=shared_pictures(splits),
        broken=broken,
        anchors=anchor_report(task, first, splits[first], preprocessing),
    )
