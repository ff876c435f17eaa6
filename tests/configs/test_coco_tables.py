"""The tables above the COCO recipes contain the published figures and the costs of our detectors."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from litmobile.tools.options.configurations import list_shipped
from support.recipes import Costs, count_costs, read_rows

RECIPES = [name for name in list_shipped() if "ssdlite_coco" in name]
COLUMNS = (
    r"(?P<ap>\d+\.\d|-) +(?P<millions>\d+\.\d+|-) +(?P<billions>\d+\.\d+|-) +(?P<classes>\d+)"
    r" +(?P<parameters>[\d,]+) +(?P<without_norms>[\d,]+) +(?P<multiply_adds>\d+\.\d{3})"
)
SIZE = (320, 320)
# AP in %, parameters in M and MAdds in G: MobileNetV2's table 6, MobileNetV3's table 6, MobileViT, torchvision
PUBLISHED = {
    ("22.2", "5.1", "1.3"),
    ("22.1", "4.3", "0.80"),
    ("16.6", "1.54", "0.27"),
    ("13.7", "0.93", "0.16"),
    ("23.0", "4.88", "0.84"),
    ("22.0", "4.97", "0.62"),
    ("22.0", "3.22", "0.51"),
    ("16.0", "2.49", "0.21"),
    ("16.1", "1.77", "0.16"),
    ("19.9", "1.8", "-"),
    ("24.8", "2.7", "-"),
    ("27.9", "5.7", "-"),
    ("21.3", "3.44", "0.58"),
}
OURS = {"ShuffleNetV1", "ShuffleNetV2", "EffNet"}


class Row(NamedTuple):
    """A row of a recipe's table: the published figures, and the costs of our network with these options."""

    recipe: str
    options: tuple[str, ...]
    published: tuple[str, str, str]
    classes: int
    costs: Costs


def read_table(recipe: str) -> list[Row]:
    """Returns the rows of the recipe's table."""
    rows: list[Row] = []
    for options, found in read_rows(recipe, COLUMNS):
        costs = Costs(
            int(found["parameters"].replace(",", "")),
            int(found["without_norms"].replace(",", "")),
            float(found["multiply_adds"]),
        )
        published = (found["ap"], found["millions"], found["billions"])
        rows.append(Row(recipe, options, published, int(found["classes"]), costs))
    return rows


ROWS = [row for recipe in RECIPES for row in read_table(recipe)]
PUBLISHED_ROWS = [row for row in ROWS if row.published[0] != "-"]


def name_row(row: Row) -> str:
    """Returns the recipe and the added options."""
    return " ".join((row.recipe, *row.options))


def test_tables_contain_every_published_detector() -> None:
    assert len(PUBLISHED_ROWS) == len(PUBLISHED)
    assert {row.published for row in PUBLISHED_ROWS} == PUBLISHED


def test_tables_contain_our_detectors_on_other_backbones() -> None:
    own = [" ".join(row.options) for row in ROWS if row.published == ("-", "-", "-")]
    assert len(own) == len(OURS)
    assert all(any(f"--model.backbone={name}" in options for options in own) for name in OURS)


@pytest.mark.parametrize("row", ROWS, ids=name_row)
def test_costs_are_those_of_the_network(row: Row) -> None:
    costs = count_costs(row.recipe, row.options, row.classes, SIZE)
    assert costs[:2] == row.costs[:2]
    assert costs.multiply_adds == pytest.approx(row.costs.multiply_adds, abs=0.000501)  # rounded to three digits


@pytest.mark.parametrize("row", PUBLISHED_ROWS, ids=name_row)
def test_costs_are_the_published_ones(row: Row) -> None:
    """TensorFlow's figures leave out batch norms. MnasNet's maps differ, as its recipe says."""
    if "--model.backbone.name=semnasnet_100" in row.options:
        pytest.skip("timm's MnasNet lacks the published maps")
    _, millions, billions = row.published
    counted = row.costs.without_norms if "mobilenet_v" in row.recipe else row.costs.parameters
    step = 10.0 ** -len(millions.partition(".")[2])  # the published digits
    assert abs(counted / 1e6 - float(millions)) < 0.6 * step
    if billions != "-":
        assert row.costs.multiply_adds == pytest.approx(float(billions), rel=0.05)
