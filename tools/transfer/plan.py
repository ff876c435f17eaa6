"""The plan of a study: tasks, backbones and blocks of cells, read from YAML."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ...errors import UserError, suggest
from ..options.yaml_text import read_yaml
from ..profile.engines.table import ENGINES
from .protocols import PROTOCOLS

ALL = "all"
KEYS = ("tasks", "backbones", "learning_rates", "cells", "more_seeds", "engines", "claims")
EXPECTATIONS = ("better", "not better", "close")


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
    """

    name: str
    options: tuple[str, ...] = ()
    weights: str | None = None
    top1: float | None = None


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


class Section:
    """A mapping of the plan, whose values are taken one by one and checked.

    Args:
        content: what the file has at this place.
        place: where this is, for messages, e.g. "plan.yaml: tasks.cells".
        keys: keys that the mapping may have.

    Raises:
        UserError: it is not a mapping, or has an unknown key.
    """

    def __init__(self, content: Any, place: str, keys: Sequence[str]) -> None:
        if not isinstance(content, dict):
            raise UserError(f"{place} must have the keys {', '.join(keys)} below it, not {content!r}.")
        for key in content:
            if key not in keys:
                raise UserError(f"{place}: {key!r} is not a key of a plan{suggest(str(key), keys)}")
        self.content = content
        self.place = place

    def take(self, key: str, kind: str, is_valid: Callable[[Any], bool], default: Any = None) -> Any:
        """Returns the value of ``key``, or ``default``, which is required to be valid, if it is absent.

        Raises:
            UserError: the value is not ``kind``, e.g. "text".
        """
        value = self.content.get(key, default)
        if not is_valid(value):
            where = f"{self.place}: {key}"
            raise UserError(
                f"{where} must be {kind}, not {value!r}." if key in self.content else f"{where} is missing."
            )
        return value

    def take_list(self, key: str, kind: str, is_valid: Callable[[Any], bool], default: Any = None) -> tuple[Any, ...]:
        """Returns the values of a list without repetitions, each of which must be valid."""

        def is_valid_list(value: Any) -> bool:
            return isinstance(value, list) and bool(value) and all(is_valid(entry) for entry in value)

        values = self.take(key, f"a list of {kind}", is_valid_list, default)
        for position, value in enumerate(values):
            if value in values[:position]:
                raise UserError(f"{self.place}: {key} has {value!r} twice; leave one out.")
        return tuple(values)

    def take_names(self, key: str, known: Collection[str], default: Any = None) -> tuple[str, ...]:
        """Returns the names under ``key``, each one of ``known``; "all" stands for all of them."""
        value = self.content.get(key, default)
        if value == ALL:
            return tuple(known)
        names = self.take_list(key, f"names, or {ALL}", is_text, default)
        for name in names:
            if name not in known:
                raise UserError(f"{self.place}: {key} has {name!r}, which is unknown{suggest(name, known)}")
        return names

    def take_options(self) -> tuple[str, ...]:
        """Returns options of ``litmobile fit``."""
        options = self.content.get("options") or []
        is_list = isinstance(options, list) and all(isinstance(word, str) for word in options)
        if not is_list or (options and not options[0].startswith("--")):
            example = "a list of options such as [--trainer.max_epochs=30]"
            raise UserError(f"{self.place}: options must be {example}, not {options!r}.")
        return tuple(options)


def is_text(value: Any) -> bool:
    """Whether ``value`` is text that is not empty."""
    return isinstance(value, str) and bool(value.strip())


def is_share(value: Any) -> bool:
    """Whether ``value`` is above 0 and at most 1."""
    return is_number(value) and 0 < value <= 1


def is_part(value: Any) -> bool:
    """Whether ``value`` is above 0 and below 1."""
    return is_share(value) and value < 1


def is_positive(value: Any) -> bool:
    """Whether ``value`` is a positive finite number."""
    return is_number(value) and 0 < value < math.inf


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, but not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_percentage(value: Any) -> bool:
    """Whether ``value`` is above 0 and at most 100."""
    return is_number(value) and 0 < value <= 100


def is_count(value: Any) -> bool:
    """Whether ``value`` is a whole number of at least 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read_plan(path: Path) -> Plan:
    """Reads the plan in the file ``path``.

    Raises:
        UserError: the file does not exist, or something in it is wrong.
    """
    if not path.exists():
        raise UserError(f"The plan {path} does not exist; pass a YAML file as in docs/transfer.md.")
    whole = Section(read_yaml(path), str(path), KEYS)
    tasks = {
        name: read_task(name, Section(content, place, ("recipe", "options", "split")))
        for name, content, place in read_named(whole, "tasks")
    }
    keys = ("options", "weights", "top1")
    backbones = {
        name: read_backbone(name, Section(content, place, keys))
        for name, content, place in read_named(whole, "backbones")
    }
    listed = whole.take("cells", "a list of blocks", lambda value: isinstance(value, list) and bool(value))
    blocks = [read_block(content, f"{path}: cells[{n}]", tasks, backbones) for n, content in enumerate(listed)]
    return Plan(
        tasks,
        backbones,
        tuple(blocks),
        read_learning_rates(whole),
        read_more_seeds(whole),
        whole.take_names("engines", ENGINES, []) if whole.content.get("engines") else (),
        read_claims(whole, backbones),
    )


def read_named(whole: Section, key: str) -> list[tuple[str, Any, str]]:
    """Returns names, contents and places of what the mapping ``key`` names."""
    entries = whole.take(key, "a mapping of names", lambda value: isinstance(value, dict) and bool(value))
    for name in entries:
        if not is_text(name) or name == ALL or not name.isprintable():
            raise UserError(f"{whole.place}: {key} has the name {name!r}; choose text other than {ALL!r}.")
    return [
        (name, {} if content is None else content, f"{whole.place}: {key}.{name}") for name, content in entries.items()
    ]


def read_task(name: str, section: Section) -> TaskPlan:
    """Reads a task."""
    recipe = section.take("recipe", "the name of a recipe or a YAML file", is_text)
    split = section.take("split", "val or test", lambda value: value in ("val", "test"), "val")
    return TaskPlan(name, recipe, section.take_options(), cast(Literal["val", "test"], split))


def read_backbone(name: str, section: Section) -> BackbonePlan:
    """Reads a backbone."""
    kind = "a file or the name of published weights, the same on every machine"
    weights = section.take("weights", kind, lambda value: value is None or (is_text(value) and value != "auto"))
    top1 = section.take("top1", "a number of % up to 100", lambda value: value is None or is_percentage(value))
    return BackbonePlan(name, section.take_options(), weights, top1)


def read_block(content: Any, place: str, tasks: Collection[str], backbones: Collection[str]) -> Block:
    """Reads a block of cells."""
    section = Section(content, place, ("backbones", "tasks", "protocols", "shares", "seeds"))
    return Block(
        section.take_names("backbones", backbones),
        section.take_names("tasks", tasks, ALL),
        section.take_names("protocols", PROTOCOLS),
        tuple(float(share) for share in section.take_list("shares", "numbers above 0 up to 1", is_share, [1.0])),
        section.take_list("seeds", "whole numbers from 0", is_count, [0]),
    )


def read_learning_rates(whole: Section) -> LearningRates | None:
    """Reads the grid of learning rates."""
    if whole.content.get("learning_rates") is None:
        return None
    place = f"{whole.place}: learning_rates"
    section = Section(whole.content["learning_rates"], place, ("values", "length", "val_from_train"))
    values = section.take_list("values", "positive numbers", is_positive)
    if len(values) < 2:
        raise UserError(f"{place}: values has one value; leave learning_rates out and set it in the tasks' options.")
    length = section.take("length", "a number above 0 up to 1", is_share, LearningRates.length)
    share = section.take("val_from_train", "a number between 0 and 1", is_part, LearningRates.val_from_train)
    return LearningRates(tuple(float(value) for value in values), float(length), float(share))


def read_more_seeds(whole: Section) -> MoreSeeds | None:
    """Reads the further seeds of leading backbones."""
    if whole.content.get("more_seeds") is None:
        return None
    section = Section(whole.content["more_seeds"], f"{whole.place}: more_seeds", ("leaders", "seeds"))
    leaders = section.take("leaders", "a whole number from 1", lambda value: is_count(value) and value > 0)
    return MoreSeeds(leaders, section.take_list("seeds", "whole numbers from 0", is_count))


def read_claims(whole: Section, backbones: Collection[str]) -> tuple[Claim, ...]:
    """Reads the claims, which the report tests."""
    listed = whole.take("claims", "a list of claims", lambda value: value is None or isinstance(value, list)) or []
    return tuple(read_claim(content, f"{whole.place}: claims[{n}]", backbones) for n, content in enumerate(listed))


def read_claim(content: Any, place: str, backbones: Collection[str]) -> Claim:
    """Reads a claim."""
    section = Section(content, place, ("claim", "backbone", "others", "expected", "margin"))
    backbone = section.take(
        "backbone", f"one of {', '.join(backbones)}", lambda value: is_text(value) and value in backbones
    )
    others = section.take_names("others", [name for name in backbones if name != backbone])
    expected = section.take("expected", f"one of {', '.join(EXPECTATIONS)}", lambda value: value in EXPECTATIONS)
    margin = section.take("margin", "a positive number", is_positive, Claim.margin)
    return Claim(section.take("claim", "text", is_text), backbone, others, expected, float(margin))
