"""The table above the recipe for blood cells contains the costs of its detectors."""

from __future__ import annotations

import re

import pytest

from support.recipes import count_costs, read_rows

RECIPE = "detection/ssdlite_bccd"
COLUMNS = r"(?:0\.\d{3} +){5}(?P<parameters>[\d,]+) +(?P<multiply_adds>\d+\.\d{3}) +[\d.]+"
ROWS = list(read_rows(RECIPE, COLUMNS))


@pytest.mark.parametrize(("options", "columns"), ROWS, ids=[" ".join(row[0]) for row in ROWS])
def test_costs_are_those_of_the_network(options: tuple[str, ...], columns: re.Match[str]) -> None:
    costs = count_costs(RECIPE, options, classes=3, size=(320, 320))
    assert f"{costs.parameters:,}" == columns["parameters"]
    assert costs.multiply_adds == pytest.approx(float(columns["multiply_adds"]), abs=0.000501)
