"""Reads a plan from YAML."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, cast

from ....errors import UserError
from ...options.yaml_text import read_yaml
from ...profile.engines.table import ENGINES
from .contents import BackbonePlan, Block, Claim, LearningRates, MoreSeeds, Plan, TaskPlan
from .protocols import PROTOCOLS
from .section import ALL, Section, is_count, is_part, is_percentage, is_positive, is_share, is_text

KEYS = ("tasks", "backbones", "learning_rates", "cells", "more_seeds", "engines", "claims")
EXPECTATIONS = ("better", "not better", "close")


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
    keys = ("options", "weights", "top1", "note")
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
            raise UserError(f"{whole.place}: {key} has the name {name!r}; choose printable text other than {ALL!r}.")
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
    note = section.take("note", "text", lambda value: isinstance(value, str), "")
    return BackbonePlan(name, section.take_options(), weights, top1, note)


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
