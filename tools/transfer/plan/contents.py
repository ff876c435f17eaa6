"""What a plan consists of: tasks, backbones, blocks of cells, and what the report needs beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TaskPlan:
    """A task on its data.

    Attributes:
        name: for the report, e.g. "blood cells".
        recipe: name of a shipped recipe, or a YAML file.
        options: options of ``litmobile fit``.
        split: split whose figures count, "val" or "test"; it is evaluated once, with the final weights.
    """

    name: str
    recipe: str
    options: tuple[str, ...] = ()
    split: Literal["val", "test"] = "val"


@dataclass(frozen=True)
class BackbonePlan:
    """A backbone.

    Attributes:
        name: for the report, e.g. "V2".
        options: options of ``litmobile fit``, which follow those of the task.
        weights: what ``--model.backbone_weights`` takes; None for a backbone that is trained from scratch only.
        top1: published accuracy on ImageNet's validation images in %, for the report; None for that of the paper,
            where litmobile knows it.
        note: for the report, e.g. on which images the weights were trained.
    """

    name: str
    options: tuple[str, ...] = ()
    weights: str | None = None
    top1: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Block:
    """Cells for each combination of these values."""

    backbones: tuple[str, ...]
    tasks: tuple[str, ...]
    protocols: tuple[str, ...]
    shares: tuple[float, ...] = (1.0,)
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class LearningRates:
    """The grid from which each backbone's learning rate is chosen, for each task and protocol.

    Attributes:
        values: learning rates to try.
        length: length of these trainings as a share of the others'.
        val_from_train: share of the training images on which they are compared.
    """

    values: tuple[float, ...]
    length: float = 0.34
    val_from_train: float = 0.2


@dataclass(frozen=True)
class MoreSeeds:
    """Further seeds for the leading backbones of each task.

    Attributes:
        leaders: number of backbones.
        seeds: the further seeds.
    """

    leaders: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """Something that is said about backbones, which the report tests on every task.

    Attributes:
        text: the claim.
        backbone: that it is about.
        others: with which that one is compared.
        expected: "better", "not better" or "close".
        margin: difference that counts as close, or as not better.
    """

    text: str
    backbone: str
    others: tuple[str, ...]
    expected: Literal["better", "not better", "close"]
    margin: float = 0.02


@dataclass(frozen=True)
class Plan:
    """A study; see docs/transfer.md."""

    tasks: dict[str, TaskPlan]
    backbones: dict[str, BackbonePlan]
    blocks: tuple[Block, ...]
    learning_rates: LearningRates | None = None
    more_seeds: MoreSeeds | None = None
    engines: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
