"""Critical-difference diagrams show ranks, distance and groups at the right places."""

from __future__ import annotations

import pytest

from litmobile.tools.pages import rank_diagram
from litmobile.tools.pages.rank_diagram import split_names, stack_groups
from support.pages import HOSTILE, Page

RANKS = {"c": 2.75, "a": 1.25, "b": 2.0}


def find_places(chart: Page) -> list[list[tuple[float, ...]]]:
    """Return the corners of the lines from the axis to the names, best name on the left first."""
    return [[tuple(map(float, pair.split(",")))[:2] for pair in x["points"].split()] for x in chart.find("polyline")]


def find_lines(chart: Page, style: str) -> list[tuple[float, float]]:
    return [(float(x["x1"]), float(x["x2"])) for x in chart.find("line") if x.get("class") == style]


def test_ranks_distance_and_groups_have_one_scale() -> None:
    chart = Page(rank_diagram("t", RANKS, [(1.25, 2.0)], 0.5))
    a, b, c = (places[0][0] for places in find_places(chart))
    left, right = find_lines(chart, "rule")[0]  # the critical distance
    ((start, end),) = find_lines(chart, "bar")
    assert (b - a, c - a) == pytest.approx((1.5 * (right - left), 3 * (right - left)), abs=0.3)
    assert (start + 3, end - 3) == pytest.approx((a, b), abs=0.11)


def test_the_description_names_groups_and_ranks() -> None:
    label = Page(rank_diagram("t", RANKS, [(1.25, 2.0)], 0.5)).find("svg")[0]["aria-label"]
    assert label == (
        "t. Mean ranks, 1 is best. a: 1.25. b: 2.00. c: 2.75. Cannot be told apart: a, b. Critical distance 0.50."
    )


@pytest.mark.parametrize("count", [1, 2, 3, 9, 16])
@pytest.mark.parametrize("length", [1, 60])
def test_any_names_are_inside_and_their_lines_do_not_cross(count: int, length: int) -> None:
    ranks = {f"{'n' * length}{k}": k + 1.0 for k in range(count)}
    chart = Page(rank_diagram("", ranks, [(1, count)], 40))
    assert chart.problems == []
    height = float(chart.find("svg")[0]["viewbox"].split()[-1])
    places = find_places(chart)
    assert len(places) == count
    assert all(0 <= x <= 360 and 0 <= y <= height for corners in places for x, y in corners)
    for (x, _), (_, row), (end, _) in places:
        between = [other for other in places if min(x, end) < other[0][0] < max(x, end)]
        assert all(other[1][1] < row for other in between)


@pytest.mark.parametrize("text", [HOSTILE, "", "日本"])
def test_any_text_is_drawn(text: str) -> None:
    chart = Page(rank_diagram(text, {text: 1.0, "b": 1.0}, [(1.0, 1.0)], 0.5, note=text))
    assert chart.problems == [] and not chart.find("script")


def test_names_are_on_both_sides_only_if_they_are_short() -> None:
    assert split_names(["a", "b", "c"]) == (["a", "b"], ["c"])
    long = [f"{name * 20}" for name in "abc"]
    assert split_names(long) == (long, [])


def test_ranges_that_touch_are_on_different_levels() -> None:
    assert stack_groups([(3, 4), (1, 2), (1.5, 2.9)], gap=0.5) == [[(1, 2), (3, 4)], [(1.5, 2.9)]]


def test_a_distance_beyond_the_axis_has_no_right_end() -> None:
    inside, beyond = (Page(rank_diagram("", RANKS, [], distance)) for distance in (1.9, 2.1))
    assert len(find_lines(inside, "rule")) == len(find_lines(beyond, "rule")) + 1
