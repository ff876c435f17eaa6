"""Charts show their values at the right places."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from litmobile.tools.pages import (
    Bar,
    Interval,
    Point,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
    scatter_chart,
    scatter_svg,
)
from litmobile.tools.pages.axes import TICK_HEIGHT, Axis, find_limits, format_tick
from litmobile.tools.pages.charts import MAX_NAME, shorten
from support.pages import HOSTILE, Page

NAN = float("nan")


def find_lines(chart: str) -> list[list[tuple[float, float]]]:
    """Return the points of the lines of a chart, without the samples of its legend."""
    texts = [line["points"] for line in Page(chart).find("polyline") if line["points"] != "0,5 24,5"]
    return [[tuple(map(float, pair.split(","))) for pair in text.split()] for text in texts]


def draw(y: list[float]) -> str:
    return line_chart("title", ("x", "y"), [Series("a", range(len(y)), y)])


def test_higher_values_are_higher_and_later_ones_further_right() -> None:
    (points,) = find_lines(draw([1.0, 3.0, 2.0]))
    x, y = zip(*points, strict=True)
    assert x[0] < x[1] < x[2]
    assert y[1] < y[2] < y[0]


def test_a_missing_value_leaves_a_gap() -> None:
    assert [len(line) for line in find_lines(draw([1, 2, NAN, 3, 4, 5]))] == [2, 3]


@pytest.mark.parametrize("y", [[], [1.0], [NAN], [NAN, NAN], [2.0, 2.0], [0.0, 0.0], [1e-9, 2e-9], [-1e12, 1e12]])
def test_unusual_values_are_drawn(y: list[float]) -> None:
    assert Page(draw(y)).problems == []


def test_long_lines_are_averaged() -> None:
    y = np.random.default_rng(0).random(100_000)
    (points,) = find_lines(line_chart("", ("", ""), [Series("", np.arange(len(y)), y)], y_limits=(0, 1)))
    assert len(points) <= 240
    assert np.ptp([point[1] for point in points]) < 30  # of 184; random values average to a half


def test_descriptions_name_ends_and_extremes() -> None:
    assert "a: from 1 to 2, lowest 1, highest 3." in Page(draw([1, 3, 2])).find("svg")[0]["aria-label"]


def test_intervals_are_around_their_values() -> None:
    chart = Page(interval_chart("", "", [Interval("a", 0.5, 0.25, 0.6)], (0, 1)))
    (circle,) = chart.find("circle")
    line = next(line for line in chart.find("line") if line.get("class") == "s0")
    x1, at, x2 = float(line["x1"]), float(circle["cx"]), float(line["x2"])
    assert (at - x1) / (x2 - x1) == pytest.approx(0.25 / 0.35, abs=0.01)


def test_a_region_that_does_not_matter_is_around_0() -> None:
    chart = Page(interval_chart("", "", [Interval("a", 0.05, 0.02, 0.08)], rope=0.01))
    (band,) = chart.find("rect")
    zero = next(line for line in chart.find("line") if line.get("class") == "zero")
    assert float(band["x"]) + float(band["width"]) / 2 == pytest.approx(float(zero["x1"]), abs=0.1)


def test_bars_are_as_long_as_their_values() -> None:
    bars = Page(bar_chart("", "", [Bar("a", 1, ""), Bar("b", 4, ""), Bar("c", 0, "")])).find("rect")
    lengths = [float(bar["width"]) for bar in bars]
    assert lengths[1] == pytest.approx(4 * lengths[0], abs=0.2)
    assert lengths[2] == 0


@pytest.mark.parametrize("name", ["a" * 100, "", "日本"])
def test_names_of_any_length_stay_inside(name: str) -> None:
    chart = Page(interval_chart("", "", [Interval(name, 0.5, 0.4, 0.6)], (0, 1)))
    assert 0 < float(chart.find("circle")[0]["cx"]) < 360


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("traffic light", "traffic light"),
        ("mobilenet_v3_large_seed_0", "mobilenet_v…rge_seed_0"),
        ("v3_large − v2", "v3_large − v2"),
        ("mobilenet_v3_large_s0 − v2", "mobi…e_s0 − v2"),
        ("mobilenet_v3_large − mobilenet_v2", "mobi…arge − mobi…t_v2"),
        (" − ".join("a" * 30), "a − a − … − a"),
    ],
)
def test_long_names_are_cut_in_the_middle(name: str, expected: str) -> None:
    assert shorten(name) == expected
    assert len(expected) <= MAX_NAME


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (0, 2160, ["0", "500", "1,000", "1,500", "2,000"]),
        (-0.02, 0.01, ["-0.02", "-0.01", "0", "0.01"]),
        (1e-5, 4e-5, ["1e-05", "2e-05", "3e-05", "4e-05"]),
    ],
)
def test_tick_marks_are_round(low: float, high: float, expected: list[str]) -> None:
    assert [format_tick(tick) for tick in Axis(low, high, 0, 300).ticks()] == expected


@pytest.mark.parametrize(("length", "expected"), [(300, 6), (-300, 6), (100, 3), (50, 2), (10, 2)])
def test_short_axes_have_fewer_tick_marks(length: float, expected: int) -> None:
    assert len(Axis(0, 1, 0, length).ticks()) == expected


def test_vertical_axes_have_tick_marks_closer_together() -> None:
    axis = Axis(0, 1, 184, 0)
    assert len(axis.ticks(TICK_HEIGHT)) == 6 > len(axis.ticks())


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0])
def test_limits_of_one_value_differ(value: float) -> None:
    for least, most in ((None, None), (value, None), (None, value), (value, value)):
        low, high = find_limits([value], least, most)
        assert low < high


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.1, 0.93], (0, 1)), ([5.0], (2, 8)), ([], (-1, 1)), ([float("inf"), 1, 2], (1, 2)), ([-3, 97], (-20, 100))],
)
def test_limits_are_round_and_contain_the_values(values: list[float], expected: tuple[float, float]) -> None:
    assert find_limits(values) == pytest.approx(expected)


def test_points_are_where_their_values_are() -> None:
    points = [Point("a", "eager", (10, 9, 12), (0.2, 0.1, 0.3)), Point("b", "eager", (20, NAN, NAN), (0.4, NAN, NAN))]
    chart = Page(scatter_chart("", ("ms", "AP"), points))
    first, second = [(float(x["cx"]), float(x["cy"])) for x in chart.find("circle")]
    assert first[0] < second[0] and second[1] < first[1]
    across, up = [line for line in chart.find("line") if line.get("class") == "s0"]  # of the first alone
    assert (first[0] - float(across["x1"])) / (float(across["x2"]) - first[0]) == pytest.approx(0.5, abs=0.02)
    assert float(up["y1"]) - first[1] == pytest.approx(first[1] - float(up["y2"]), abs=0.11)
    assert "AP over ms. a, eager: 10, 0.2. b, eager: 20, 0.4." in chart.find("svg")[0]["aria-label"]


def test_groups_have_colours_and_a_legend() -> None:
    points = [Point("a", group, (k + 1, NAN, NAN), (k, NAN, NAN)) for k, group in enumerate(("eager", "int8", "eager"))]
    chart = Page(scatter_chart("", ("ms", "AP"), points))
    assert [x["class"] for x in chart.find("circle")] == ["s0", "s1", "s0", "s0", "s1"]  # points, then the legend
    assert chart.problems == []


@pytest.mark.parametrize("name", ["a", HOSTILE])
def test_svg_files_are_complete(name: str) -> None:
    text = scatter_svg(name, ("ms", "AP"), [Point(name, "eager", (1, NAN, NAN), (0.5, 0.4, 0.6))])
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not any("script" in element.tag for element in root.iter())
    assert name[:5] in "".join(root.itertext())


def test_names_of_near_points_cover_no_other_name() -> None:
    near = [Point(f"network {k}", "eager", (10 + k / 10, NAN, NAN), (0.5, NAN, NAN)) for k in range(4)]
    texts = ElementTree.fromstring(scatter_svg("", ("ms", "AP"), near)).iter("{http://www.w3.org/2000/svg}text")
    rows = [float(text.attrib["y"]) for text in texts if (text.text or "").startswith("network")]
    assert len(rows) == 4
    assert min(high - low for low, high in pairwise(sorted(rows))) >= 12
