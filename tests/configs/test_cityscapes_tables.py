"""The tables above the Cityscapes recipes hold the published figures, and say of each network what is so."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
import torch
import yaml
from lightning.pytorch.cli import LightningArgumentParser
from torch.utils.flop_counter import FlopCounterMode

from litmobile.tasks.network import Network
from litmobile.tasks.segmentation.cityscapes import LABEL_IDS
from litmobile.tasks.task import Task
from litmobile.tools.complexity import without_values
from litmobile.tools.configurations import find_configuration, list_shipped
from support.families import parameters_of

RECIPES = [name for name in list_shipped() if "cityscapes" in name]
HEADING = "#   words to add"
PLAIN = "as below"  # the row of the network that the recipe trains without further words
ROW = re.compile(
    rf"#   (?P<words>{PLAIN}|--.+?) +(?P<miou>\d+\.\d\d) +(?P<millions>\d+\.\d\d) +(?P<billions>\d+\.\d\d)"
    r" +(?P<parameters>[\d,]+) +(?P<multiply_adds>\d+\.\d\d)"
)
SIZE = (1025, 2049)
# mIoU, parameters in M and MAdds in G of MobileNetV3's table 7
TABLE_7 = {
    (72.84, 2.11, 21.29),
    (72.56, 1.15, 13.68),
    (72.97, 1.02, 12.83),
    (72.74, 0.98, 12.57),
    (72.64, 3.60, 18.43),
    (71.91, 1.76, 11.24),
    (72.37, 1.63, 10.33),
    (72.36, 1.51, 9.74),
    (68.57, 0.28, 4.00),
    (66.83, 0.16, 2.54),
    (68.38, 0.47, 2.90),
}


class Row(NamedTuple):
    """A line of a recipe's table: what is published, and what the network with these words has."""

    recipe: str
    words: tuple[str, ...]
    published: tuple[float, float, float]
    parameters: int
    multiply_adds: float


def table(recipe: str) -> list[Row]:
    """The lines between the heading and the next empty comment."""
    lines = find_configuration(recipe).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(HEADING)) + 1
    rows: list[Row] = []
    for line in lines[start : lines.index("#", start)]:
        found = ROW.fullmatch(line)
        assert found, f"{recipe}: {line!r} is no row of the table"
        words = () if found["words"] == PLAIN else tuple(found["words"].split())
        published = (float(found["miou"]), float(found["millions"]), float(found["billions"]))
        rows.append(
            Row(recipe, words, published, int(found["parameters"].replace(",", "")), float(found["multiply_adds"]))
        )
    return rows


ROWS = [row for recipe in RECIPES for row in table(recipe)]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join((row.recipe, *row.words)))


def network(row: Row) -> Network:
    """What the command line makes of the recipe and the words, without values."""
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(Task, "model", subclass_mode=True)
    stored = yaml.safe_dump(
        yaml.safe_load(find_configuration(row.recipe).read_text())["model"], default_flow_style=True, width=10**6
    )
    options = parser.parse_args([f"--model={stored}", *row.words])
    with without_values():
        return parser.instantiate_classes(options).model.build_network(list(LABEL_IDS)).eval()


def test_every_row_of_the_papers_table_is_there_once() -> None:
    assert len(ROWS) == len(TABLE_7)
    assert {row.published for row in ROWS} == TABLE_7


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_as_it_stands_is_one_of_the_rows(recipe: str) -> None:
    assert [row.words for row in table(recipe)].count(()) == 1


@each_row
def test_the_network_with_these_words_has_the_parameters_and_multiply_adds(row: Row) -> None:
    built = network(row)
    assert parameters_of(built) == row.parameters
    with without_values(), torch.no_grad(), FlopCounterMode(display=False) as flops:
        built(torch.zeros(1, 3, *SIZE))
    assert abs(flops.get_total_flops() / 2e9 - row.multiply_adds) < 0.00501  # a digit is rounded away


@each_row
def test_what_it_has_is_near_what_is_published(row: Row) -> None:
    _, millions, billions = row.published
    assert abs(row.parameters / 1e6 - millions) < 0.01
    assert 0.92 < row.multiply_adds / billions < 1
