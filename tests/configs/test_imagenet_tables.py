"""The tables above the ImageNet recipes contain every published network once, with correct figures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import pytest
import yaml
from lightning.pytorch.cli import LightningArgumentParser
from torch import nn

from litmobile import backbones
from litmobile.backbones.contract import Variant
from litmobile.backbones.sequential import SequentialBackbone
from litmobile.heads import Classifier
from litmobile.heads.contract import default_class_names
from litmobile.tasks.task import Task
from litmobile.tools.options.configurations import find_configuration, list_shipped
from litmobile.tools.profile.counts import without_values
from support.families import FAMILIES, build_on_meta, count_parameters

RECIPES = [name for name in list_shipped() if name.startswith("classification/imagenet_")]
HEADING = "#   options"
PLAIN = "as below"  # the row of the network that the recipe trains without added options
WORD = r"--model\.(?:backbone|head)\.\w+=\S+"
COLUMNS = (
    r"(?P<top1>\d+\.\d) +(?P<published>(?:\d+\.\d+|–) +(?:\d+|–)) +(?P<parameters>[\d,]+) +(?P<multiply_adds>\d+\.\d)"
)
ROW = re.compile(rf"#   (?P<options_to_add>{PLAIN}|{WORD}(?: {WORD})*) +{COLUMNS}")

#: values of the arguments in which the networks of a family differ
Shape = dict[str, Any]


class Row(NamedTuple):
    """A row of a recipe's table.

    Attributes:
        recipe: name of the configuration.
        options_to_add: options to add on the command line.
        top1: published accuracy in %.
        published: published parameters and multiply-adds in millions, as printed.
        parameters: number of parameters with the classifier.
        multiply_adds: multiply-adds in millions.
    """

    recipe: str
    options_to_add: tuple[str, ...]
    top1: float
    published: tuple[str, ...]
    parameters: int
    multiply_adds: float

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the backbone, with the added options."""
        return self.read_arguments("backbone")

    @property
    def head_arguments(self) -> dict[str, Any]:
        """Arguments of the classifier, with the added options."""
        return self.read_arguments("head")

    def read_arguments(self, part: str) -> dict[str, Any]:
        """Read the arguments of "backbone" or "head" from the recipe, and add the options."""
        prefix = f"--model.{part}."
        pairs = (word.removeprefix(prefix).split("=") for word in self.options_to_add if word.startswith(prefix))
        return read_model(self.recipe)[part].get("init_args", {}) | {k: yaml.safe_load(v) for k, v in pairs}


@cache
def read_model(recipe: str) -> dict[str, Any]:
    """Read the task's arguments from a recipe."""
    return yaml.safe_load(find_configuration(recipe).read_text())["model"]["init_args"]


def get_family(recipe: str) -> type[SequentialBackbone]:
    """Return the class of a recipe's backbone."""
    return getattr(backbones, read_model(recipe)["backbone"]["class_path"].rpartition(".")[2])


def read_table(recipe: str) -> list[Row]:
    """Return the rows between the heading and the next empty comment."""
    lines = find_configuration(recipe).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(HEADING)) + 1
    rows: list[Row] = []
    for line in lines[start : lines.index("#", start)]:
        found = ROW.fullmatch(line)
        assert found, f"{recipe}: {line!r} is not a row of the table"
        options_to_add = () if found["options_to_add"] == PLAIN else tuple(found["options_to_add"].split())
        parameters = int(found["parameters"].replace(",", ""))
        published = tuple(found["published"].split())
        multiply_adds = float(found["multiply_adds"])
        rows.append(Row(recipe, options_to_add, float(found["top1"]), published, parameters, multiply_adds))
    return rows


ROWS = [row for recipe in RECIPES for row in read_table(recipe)]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join((row.recipe, *row.options_to_add)))


def make_shape(family: type[SequentialBackbone], arguments: Mapping[str, Any]) -> Shape:
    """Return the shape arguments of ``family`` for these arguments and the defaults of the others."""
    bound = inspect.signature(family).bind_partial(**arguments)
    bound.apply_defaults()
    return {name: bound.arguments[name] for name in family.shape_arguments}


def sort_shapes(shapes: Iterable[Shape]) -> list[Shape]:
    """Sort shapes by their text because dictionaries have no order."""
    return sorted(shapes, key=repr)


def find_variant(row: Row) -> Variant:
    """Return the family's own variant for the network of ``row``."""
    family = get_family(row.recipe)
    wanted = make_shape(family, row.arguments)
    return next(variant for variant in family.variants if make_shape(family, variant.arguments) == wanted)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_the_networks_with_published_accuracy(family: type[SequentialBackbone]) -> None:
    rows = [make_shape(family, row.arguments) for row in ROWS if get_family(row.recipe) is family]
    variants = [make_shape(family, variant.arguments) for variant in family.variants if variant.top1 is not None]
    assert sort_shapes(rows) == sort_shapes(variants)


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_unchanged_recipe_is_one_of_the_rows(recipe: str) -> None:
    assert [row.options_to_add for row in read_table(recipe)].count(()) == 1


@each_row
def test_top1_and_multiply_adds_match_the_family(row: Row) -> None:
    variant = find_variant(row)
    assert row.top1 == variant.top1
    assert variant.multiply_adds is not None
    assert abs(row.multiply_adds - variant.multiply_adds) < 0.0501  # rounded to one digit


@each_row
def test_parameters_match_the_network(row: Row) -> None:
    backbone = build_on_meta(get_family(row.recipe), **row.arguments)
    maps = backbone.feature_names("classification")
    features = {name: backbone.features[name] for name in maps}
    backbone.select(maps)
    with without_values():
        head = Classifier(features, find_variant(row).classes, **row.head_arguments)
    assert count_parameters(backbone) + count_parameters(head) == row.parameters


@each_row
def test_head_is_the_published_classifier(row: Row) -> None:
    published = find_variant(row).classifier
    assert {name: row.head_arguments.get(name) for name in published} == dict(published)


def exclude_norms(row: Row) -> int:
    """Count the parameters outside batch norms."""
    backbone = build_on_meta(get_family(row.recipe), **row.arguments)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    return row.parameters - sum(map(count_parameters, norms))


# not published, or published figures that do not fit the network, which the headers say
UNEXPLAINED = {"–", "6.9", "3.6", "65", "13", "38"}


@each_row
def test_published_costs_fit_up_to_rounding_and_norms(row: Row) -> None:
    """The papers round or truncate parameters, and Google's exclude those of batch norms."""
    parameters, multiply_adds = row.published
    if parameters not in UNEXPLAINED:
        last_digit = 10.0 ** -len(parameters.partition(".")[2])
        differences = [count / 1e6 - float(parameters) for count in (row.parameters, exclude_norms(row))]
        assert any(-last_digit / 2 <= difference < last_digit for difference in differences)
    if multiply_adds not in UNEXPLAINED:
        assert row.multiply_adds == pytest.approx(float(multiply_adds), rel=0.015)


# parameters in M of the authors' release of MobileNetV2, by width
MOBILENET_V2 = {1.4: 6.06, 1.0: 3.47, 0.75: 2.61, 0.5: 1.95, 0.35: 1.66}


@pytest.mark.parametrize("row", read_table("classification/imagenet_mobilenet_v2"), ids=lambda row: str(row.arguments))
def test_googles_mobilenet_v2_figures_exclude_batch_norms(row: Row) -> None:
    millions = exclude_norms(row) / 1e6
    assert round(millions, 2) == MOBILENET_V2[row.arguments.get("width", 1.0)] != round(row.parameters / 1e6, 2)
    assert f"{millions:.3f}" in find_configuration(row.recipe).read_text()


# top-1, parameters and multiply-adds of the final version's table 3, of its table 9 for width 1.25, and of the authors'
# README for the minimalistic networks
MOBILENET_V3 = {
    "large": [(76.6, "7.5", "356"), (75.2, "5.4", "219"), (73.3, "4.0", "155"), (72.3, "3.9", "209")],
    "small": [(70.4, "3.6", "91"), (67.4, "2.5", "56"), (65.4, "2.0", "44"), (61.9, "2.0", "65")],
}


@pytest.mark.parametrize("variant", MOBILENET_V3)
def test_mobilenet_v3_has_the_final_papers_figures(variant: str) -> None:
    rows = read_table(f"classification/imagenet_mobilenet_v3_{variant}")
    assert [(row.top1, *row.published) for row in rows] == MOBILENET_V3[variant]


@pytest.mark.parametrize("recipe", RECIPES)
def test_validation_size_is_the_published_one(recipe: str) -> None:
    sizes = {find_variant(row).size for row in read_table(recipe)}
    assert {*read_model(recipe)["preprocessing"]["size"]} == sizes


@pytest.mark.parametrize("recipe", RECIPES)
def test_options_build_the_same_network_on_the_command_line(recipe: str) -> None:
    row = max(read_table(recipe), key=lambda row: len(row.options_to_add))
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(Task, "model", subclass_mode=True)
    stored = yaml.safe_dump(
        yaml.safe_load(find_configuration(recipe).read_text())["model"], default_flow_style=True, width=10**6
    )
    options = parser.parse_args([f"--model={stored}", *row.options_to_add])
    with without_values():
        network = parser.instantiate_classes(options).model.build_network(default_class_names(1000))
    assert count_parameters(network) == row.parameters
