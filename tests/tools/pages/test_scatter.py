"""Scatter charts show their points, names and fronts at the right places."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from litmobile.tools.pages import Point, scatter_chart, scatter_svg
from support.pages import HOSTILE, Page

NAN = float("nan")


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
    names = [text.attrib for text in texts if (text.text or "").startswith("network")]
    assert len(names) == 4
    for anchor in ("start", "end"):  # right and left of the points
        rows = sorted(float(name["y"]) for name in names if name["text-anchor"] == anchor)
        assert all(high - low >= 12 for low, high in pairwise(rows))


def test_names_of_near_points_cover_no_point() -> None:
    points = [Point("network", "eager", (x, NAN, NAN), (0.5, NAN, NAN)) for x in (10, 11, 12)]
    root = ElementTree.fromstring(scatter_svg("", ("ms", "AP"), points))
    circles = [float(circle.attrib["cy"]) for circle in root.iter("{http://www.w3.org/2000/svg}circle")]
    rows = [float(text.attrib["y"]) for text in root.iter("{http://www.w3.org/2000/svg}text") if text.text == "network"]
    assert len(rows) == 3
    assert sum(circles[0] - 4 < row and row - 12 < circles[0] + 4 for row in rows) <= 2  # beside the outer points


def test_steps_join_the_points_of_a_front() -> None:
    values = {"a": (10, 0.2), "b": (20, 0.1), "c": (30, 0.4)}
    points = [Point(name, "eager", (x, NAN, NAN), (y, NAN, NAN)) for name, (x, y) in values.items()]
    chart = Page(scatter_chart("", ("ms", "AP"), points, front=["c", "a"]))
    steps, sample = [[tuple(map(float, p.split(","))) for p in x["points"].split()] for x in chart.find("polyline")]
    a, b, c = [(float(circle["cx"]), float(circle["cy"])) for circle in chart.find("circle")]
    assert steps == [a, (c[0], a[1]), c, (340, c[1])]
    assert b[1] > a[1] and sample[0][1] == sample[1][1]
    assert [circle["class"] for circle in chart.find("circle")] == ["s0", "s0 hollow", "s0"]
    assert "On the Pareto front: c, a." in chart.find("svg")[0]["aria-label"]


def test_without_a_front_all_points_are_filled() -> None:
    chart = Page(scatter_chart("", ("ms", "AP"), [Point("a", "eager", (1, NAN, NAN), (1, NAN, NAN))]))
    assert [circle["class"] for circle in chart.find("circle")] == ["s0"] and not chart.find("polyline")
