"""All that is looked at in detection data before a training: objects, pictures that cannot be read, anchors."""

from __future__ import annotations

from dataclasses import dataclass

from ...tasks.detection import DetectionData
from ...tasks.detection.statistics import SharedPicture, SplitStatistics, shared_pictures, statistics
from ...tasks.preprocessing import Preprocessing
from ...tasks.task import Task
from .anchors import AnchorReport, anchor_report
from .splits import contradiction, faults, read_splits


@dataclass(frozen=True)
class Inspection:
    """What is known of the data.

    Attributes:
        input: how images become the network's input.
        splits: what was read, by "train", "val" and "test".
        not_read: why other splits were not.
        contradiction: how splits contradict each other; a training would stop there.
        shared: pictures that two splits have.
        broken: by split, what is wrong with pictures, a sentence each; None where pictures were not read.
        anchors: how they suit the first of the splits, or a sentence why nothing is said of them.
    """

    input: Preprocessing
    splits: dict[str, SplitStatistics]
    not_read: dict[str, str]
    contradiction: str | None
    shared: list[SharedPicture]
    broken: dict[str, list[str]] | None
    anchors: AnchorReport | str


def inspect_detection(
    data: DetectionData, task: Task | None, preprocessing: Preprocessing, pictures: bool
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
    splits, not_read = read_splits(data)
    first = next(iter(splits))
    return Inspection(
        input=preprocessing,
        splits={name: statistics(split, preprocessing) for name, split in splits.items()},
        not_read=not_read,
        contradiction=contradiction(data, splits),
        shared=shared_pictures(splits),
        broken={name: faults(name, split) for name, split in splits.items()} if pictures else None,
        anchors=anchor_report(task, first, splits[first], preprocessing),
    )
