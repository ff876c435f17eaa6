"""Charts show their values at the right places."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tools.pages import (
    Bar,
    Interval,
    Series,
    bar_chart,
    interval_chart,
    line_chart,
)
from litmobile.tools.pages.axes import TICK_HEIGHT, Axis, build_log_axis, find_limits, format_tick
from litmobile.tools.pages.charts import MAX_NAME, shorten
from support.pages import Page

NAN = float("nan")


def find_lines(chart: str) -> list[list[tuple[float, ...]]]:
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


BAND = Series("a", [0, 1, 2], [1, 2, 3], [0, NAN, 2], [4, NAN, 5])


@pytest.mark.parametrize(("low", "high"), [([0.5, 1, 2], [4, 5, 6]), ([NAN, 1, 2], [4, 5, 6])])
def test_a_band_is_between_its_ends(low: list[float], high: list[float]) -> None:
    chart = Page(line_chart("", ("", ""), [Series("a", [0, 1, 2], [1, 2, 3], low, high)], y_limits=(0, 8)))
    (band,) = [polygon for polygon in chart.find("polygon") if polygon["class"] == "shade s0"]
    y = [float(pair.split(",")[1]) for pair in band["points"].split()]
    bounded = [(a, b) for a, b in zip(low, high, strict=True) if a == a]  # NaN differs from itself
    expected = [b for _, b in bounded] + [a for a, _ in reversed(bounded)]
    assert y == pytest.approx([192 - 184 * end / 8 for end in expected], abs=0.1)


def test_a_band_of_one_point_is_a_line() -> None:
    chart = Page(line_chart("", ("", ""), [BAND._replace(x=[0, 1, 2], low=[0, NAN, NAN])]))
    assert not chart.find("polygon")
    (first, second), _ = find_lines(line_chart("", ("", ""), [BAND._replace(low=[0, NAN, NAN])]))
    assert first[0] == second[0] and first[1] < second[1]


def test_limits_and_descriptions_include_bands() -> None:
    chart = Page(line_chart("", ("x", "y"), [BAND]))
    assert "a: from 1 (0 to 4) to 3 (2 to 5), lowest 1, highest 3." in chart.find("svg")[0]["aria-label"]
    assert [text for text in chart.text.split() if text.isdigit()][:6] == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(("count", "markers"), [(1, 1), (12, 12), (13, 0)])
def test_short_lines_have_markers(count: int, markers: int) -> None:
    assert len(Page(draw([float(k) for k in range(count)])).find("circle")) == markers


def test_markers_of_neighbouring_lines_have_different_shapes() -> None:
    chart = Page(line_chart("", ("", ""), [Series(str(k), [0, 1], [k, k]) for k in range(4)]))
    corners = [len(polygon["points"].split()) for polygon in chart.find("polygon")]
    assert len(chart.find("circle")) == 3 and corners == [4, 4, 3, 3, 4, 4, 4, 3, 4]  # the last three: the legend


def test_logarithmic_axes_are_labelled_at_the_values() -> None:
    chart = Page(line_chart("", ("", ""), [Series("a", [0.1, 0.25, 1], [1, 2, 3])], is_log=True))
    x = [float(circle["cx"]) for circle in chart.find("circle")]
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(np.log10(2.5), abs=0.001)
    assert {"0.1", "0.25", "1"} <= set(chart.text.split())


@pytest.mark.parametrize("x", [[], [0.5], [0, 0.5, 1], [-1.0, 0.0], [NAN, 1.0], [1e-6, 1e6]])
def test_unusual_values_are_drawn_on_a_logarithmic_axis(x: list[float]) -> None:
    chart = Page(line_chart("", ("", ""), [Series("a", x, [1.0] * len(x))], is_log=True))
    assert chart.problems == []
    assert len(chart.find("circle")) == sum(value > 0 for value in x)


def test_near_tick_marks_of_a_logarithmic_axis_are_left_out() -> None:
    axis = build_log_axis([1, 1.1, 10, 11, 100], (None, None), (0, 200))
    assert axis.ticks() == [1.1, 11, 100]


@pytest.mark.parametrize("y", [[], [1.0], [NAN], [NAN, NAN], [2.0, 2.0], [0.0, 0.0], [1e-9, 2e-9], [-1e12, 1e12]])
def test_unusual_values_are_drawn(y: list[float]) -> None:
    assert Page(draw(y)).problems == []


def test_long_lines_are_averaged() -> None:
    y = np.random.default_rng(0).random(100_000)
    (points,) = find_lines(line_chart("", ("", ""), [Series("", np.arange(float(len(y))), y)], y_limits=(0, 1)))
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
