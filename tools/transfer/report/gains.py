"""What starting from pretrained weights gains over training from scratch, for each backbone and task."""

from __future__ import annotations

from typing import NamedTuple

from ...compare.comparison import Pair
from .estimates import TaskEstimates
from .formats import join_rows
from .results import Row

PRETRAINED = ("full", "norms", "frozen")  # protocols, the one that is compared with scratch first


class Gain(NamedTuple):
    """The difference of a pretrained training and one from scratch.

    Attributes:
        pretrained: row of the training from weights.
        scratch: row of the one from random weights, of the same share of the images.
        pair: their difference.
    """

    pretrained: Row
    scratch: Row
    pair: Pair


def find_gains(task: TaskEstimates) -> list[Gain]:
    """Returns the gains of all backbones and shares for which both trainings are finished.

    P-values are corrected for their number.
    """
    found: list[tuple[Row, Row]] = []
    for scratch in [row for row in task.estimates if row.protocol == "scratch"]:
        candidates = [Row(scratch.backbone, protocol, scratch.share) for protocol in PRETRAINED]
        found += [(row, scratch) for row in candidates if row in task.estimates][:1]
    return [Gain(*rows, pair) for rows, pair in zip(found, task.compare_rows(found), strict=True)]


def describe_gains(task: TaskEstimates, gains: list[Gain]) -> str:
    """Says in a sentence for how many backbones pretraining gains significantly."""
    better = [gain for gain in gains if gain.pair.better == str(gain.pretrained)]
    harmful = [gain for gain in gains if gain.pair.better == str(gain.scratch)]
    values = [gain.pair.difference.value for gain in better if gain.pair.difference is not None]
    text = f"{task.name}: pretraining gains {task.figure} significantly in {len(better)} of {len(gains)} comparisons"
    if values:
        text += f", by {min(values):+.3f} to {max(values):+.3f}"
    if harmful:
        text += f"; it loses significantly in {len(harmful)}"
    undecided = [gain.pretrained for gain in gains if gain not in better and gain not in harmful]
    if undecided:
        text += f"; {join_rows(undecided)} cannot be told apart from scratch"
    return f"{text}."
