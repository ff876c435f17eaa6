"""The tables above the ImageNet recipes name every published network once, and say of each what is so."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml
from lightning.pytorch.cli import LightningArgumentParser

from litmobile import backbones
from litmobile.backbones.contract import Variant
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.heads import Classifier
from litmobile.heads.contract import default_class_names
from litmobile.tasks.task import Task
from litmobile.tools.complexity import without_values
from litmobile.tools.configurations import find_configuration, list_shipped
from support.families import FAMILIES, build_on_meta, count_parameters

RECIPES = [name for name in list_shipped() if name.startswith("classification/imagenet_")]
HEADING = "#   options"
PLAIN = "as below"  # the row of the network that the recipe trains without further words
WORD = r"--model\.backbone\.\w+=\S+"
COLUMNS = r"(?P<top1>\d+\.\d) +(?:\d+\.\d+|–) +(?:\d+|–) +(?P<parameters>[\d,]+) +(?P<multiply_adds>\d+\.\d)"
ROW = re.compile(rf"#   (?P<words>{PLAIN}|{WORD}(?: {WORD})*) +{COLUMNS}")

#: values of the arguments that tell the networks of a family apart
Shape = dict[str, Any]


class Row(NamedTuple):
    """A line of a recipe's table.

    Attributes:
        recipe: name of the configuration.
        words: what is added on the command line.
        top1: published, in %.
        parameters: of the network with its classifier.
        multiply_adds: in M.
    """

    recipe: str
    words: tuple[str, ...]
    top1: float
    parameters: int
    multiply_adds: float

    @property
    def arguments(self) -> dict[str, Any]:
        """The backbone's, with the words taken in."""
        pairs = (word.removeprefix("--model.backbone.").split("=") for word in self.words)
        return model(self.recipe)["backbone"].get("init_args", {}) | {k: yaml.safe_load(v) for k, v in pairs}


@cache
def model(recipe: str) -> dict[str, Any]:
    """The task's arguments in a recipe."""
    return yaml.safe_load(find_configuration(recipe).read_text())["model"]["init_args"]


def family_of(recipe: str) -> type[SequentialBackbone]:
    """The backbone's class in a recipe."""
    return getattr(backbones, model(recipe)["backbone"]["class_path"].rpartition(".")[2])


def table(recipe: str) -> list[Row]:
    """The lines between the heading and the next empty comment."""
    lines = find_configuration(recipe).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(HEADING)) + 1
    rows: list[Row] = []
    for line in lines[start : lines.index("#", start)]:
        found = ROW.fullmatch(line)
        assert found, f"{recipe}: {line!r} is no row of the table"
        words = () if found["words"] == PLAIN else tuple(found["words"].split())
        parameters = int(found["parameters"].replace(",", ""))
        rows.append(Row(recipe, words, float(found["top1"]), parameters, float(found["multiply_adds"])))
    return rows


ROWS = [row for recipe in RECIPES for row in table(recipe)]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join((row.recipe, *row.words)))


def shape(family: type[SequentialBackbone], arguments: Mapping[str, Any]) -> Shape:
    """Which network of ``family`` these arguments, and the defaults of the others, make."""
    bound = inspect.signature(family).bind_partial(**arguments)
    bound.apply_defaults()
    return {name: bound.arguments[name] for name in family.shape_arguments}


def in_order(shapes: Iterable[Shape]) -> list[Shape]:
    """Sorted, which dictionaries alone cannot be."""
    return sorted(shapes, key=repr)


def published(row: Row) -> Variant:
    """What the family's own table says about the network of ``row``."""
    family = family_of(row.recipe)
    wanted = shape(family, row.arguments)
    return next(variant for variant in family.variants if shape(family, variant.arguments) == wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_the_networks_with_published_accuracy(family: type[SequentialBackbone]) -> None:
    rows = [shape(family, row.arguments) for row in ROWS if family_of(row.recipe) is family]
    variants = [shape(family, variant.arguments) for variant in family.variants if variant.top1 is not None]
    assert in_order(rows) == in_order(variants)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_unchanged_recipe_is_one_of_the_rows(recipe: str) -> None:
    assert [row.words for row in table(recipe)].count(()) == 1


@each_row
def test_top1_and_multiply_adds_match_the_family(row: Row) -> None:
    variant = published(row)
    assert row.top1 == variant.top1
    assert variant.multiply_adds is not None
    assert abs(row.multiply_adds - variant.multiply_adds) < 0.0501  # a digit is rounded away


@each_row
def test_parameters_match_the_network(row: Row) -> None:
    backbone = build_on_meta(family_of(row.recipe), **row.arguments)
    maps = backbone.feature_names("classification")
    features = {name: backbone.features[name] for name in maps}
    backbone.select(maps)
    with without_values():
        head = Classifier(features, published(row).classes, **model(row.recipe)["head"]["init_args"])
    assert count_parameters(backbone) + count_parameters(head) == row.parameters


@pytest.mark.parametrize("recipe", RECIPES)
def test_validation_size_is_the_published_one(recipe: str) -> None:
    sizes = {published(row).size for row in table(recipe)}
    assert {*model(recipe)["preprocessing"]["size"]} == sizes


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_build_the_same_network_on_the_command_line(recipe: str) -> None:
    row = max(table(recipe), key=lambda row: len(row.words))
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(Task, "model", subclass_mode=True)
    stored = yaml.safe_dump(
        yaml.safe_load(find_configuration(recipe).read_text())["model"], default_flow_style=True, width=10**6
    )
    options = parser.parse_args([f"--model={stored}", *row.words])
    with without_values():
        network = parser.instantiate_classes(options).model.build_network(default_class_names(1000))
    assert count_parameters(network) == row.parameters
