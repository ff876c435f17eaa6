"""The tables above the Cityscapes recipes contain the published figures and the costs of our networks.

A table in the documentation explains the difference between published and our multiply-adds.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import nn

from litmobile.backbones.inverted_residual import InvertedResidual
from litmobile.tasks.network import Network
from litmobile.tasks.segmentation.data_sets.known_classes import LABEL_IDS
from litmobile.tools.options.configurations import list_shipped
from litmobile.tools.profile.counts import Complexity, count
from support.families import count_parameters
from support.recipes import build_network, read_rows

RECIPES = [name for name in list_shipped() if "cityscapes" in name]
COLUMNS = (
    r"(?P<miou>\d+\.\d\d) +(?P<millions>\d+\.\d\d) +(?P<billions>\d+\.\d\d) +(?P<parameters>[\d,]+)"
    r" +(?P<multiply_adds>\d+\.\d\d)"
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
    """A row of a recipe's table: the published figures, and the costs of our network with these options."""

    recipe: str
    options: tuple[str, ...]
    published: tuple[float, float, float]
    parameters: int
    multiply_adds: float


def read_table(recipe: str) -> list[Row]:
    """Returns the rows of the recipe's table."""
    rows: list[Row] = []
    for options, found in read_rows(recipe, COLUMNS):
        published = (float(found["miou"]), float(found["millions"]), float(found["billions"]))
        parameters = int(found["parameters"].replace(",", ""))
        rows.append(Row(recipe, options, published, parameters, float(found["multiply_adds"])))
    return rows


ROWS = [row for recipe in RECIPES for row in read_table(recipe)]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join((row.recipe, *row.options)))


def build(row: Row) -> Network:
    """Builds the row's network without values."""
    return build_network(row.recipe, row.options, list(LABEL_IDS))


def test_the_tables_contain_every_row_of_the_paper() -> None:
    assert len(ROWS) == len(TABLE_7)
    assert {row.published for row in ROWS} == TABLE_7


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_unchanged_recipe_is_one_of_the_rows(recipe: str) -> None:
    assert [row.options for row in read_table(recipe)].count(()) == 1


def count_costs(network: Network) -> Complexity:
    """Counts the network for one image of ``SIZE``."""
    return count(network, torch.zeros(1, 3, *SIZE, device="meta"))


@each_row
def test_parameters_and_multiply_adds_match_the_network(row: Row) -> None:
    network = build(row)
    assert count_parameters(network) == row.parameters
    assert abs(count_costs(network).multiply_adds / 1e9 - row.multiply_adds) < 0.00501  # rounded to two digits


@each_row
def test_parameters_are_close_to_the_published_ones(row: Row) -> None:
    assert abs(row.parameters / 1e6 - row.published[1]) < 0.01


# ------------------------------------------------------------------------------------------- terms of the multiply-adds


def count_decoder_terms(costs: Complexity) -> tuple[int, int]:
    """Counts what the authors' LR-ASPP has more than ours: classes on the upsampled channels, and its fine map.

    In the release, this map is the depthwise convolution of the last block at stride 8.
    """
    operations = {operation.layer: operation for operation in costs.operations}
    fine, coarse = operations.get("head.fine_classifier"), operations.get("head.coarse_classifier")
    if fine is None or coarse is None:
        return 0, 0
    (classes, *size), (channels, *_) = fine.output, coarse.input
    depthwise = [x.output for x in costs.operations if x.kind.startswith("depthwise") and [*x.output[1:]] == size]
    positions = size[0] * size[1]
    upsampled = classes * channels * positions - coarse.multiply_adds
    return upsampled, classes * (depthwise[-1][0] - fine.input[0]) * positions


def count_elementwise_terms(network: Network) -> int:
    """Counts one operation for each upsampled score and residual sum, and two for each hard swish."""
    terms = [len(network.classes) * SIZE[0] * SIZE[1]]

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        times = 2 if isinstance(module, nn.Hardswish) else isinstance(module, InvertedResidual) and module.shortcut
        terms.append(times * output.numel())

    for module in network.modules():
        if isinstance(module, nn.Hardswish | InvertedResidual):
            module.register_forward_hook(add)
    count_costs(network)
    return sum(terms)


def read_terms() -> dict[float, list[float]]:
    """Returns the rows of the table in the documentation, by the published multiply-adds in G, which differ."""
    text = (Path(__file__).parents[2] / "docs" / "segmentation.md").read_text()
    table = re.findall(r"^\|[^|]+((?:\| *-?\d+\.\d+ *){6})\|$", text, re.MULTILINE)
    rows = [[float(figure) for figure in row.strip("|").split("|")] for row in table]
    return {published: figures for published, *figures in rows}


def test_every_row_of_the_paper_is_explained() -> None:
    assert read_terms().keys() == {published for _, _, published in TABLE_7}


@each_row
def test_terms_add_up_to_the_published_multiply_adds(row: Row) -> None:
    network = build(row)
    costs = count_costs(network)
    terms = [costs.multiply_adds, *count_decoder_terms(costs), count_elementwise_terms(network)]
    published = row.published[2]
    *explained, rest = read_terms()[published]
    assert explained == [pytest.approx(term / 1e9, abs=0.000501) for term in terms]
    assert rest == pytest.approx(published - sum(terms) / 1e9, abs=0.000501)
    assert abs(rest) <= 0.001 * published
