"""`litmobile compare --page` writes the comparison as one page."""

from __future__ import annotations

from typing import Any

import pytest

from litmobile.tasks.evidence import Evidence
from litmobile.tools.compare.comparison import Settings, Side
from litmobile.tools.compare.compute import compare_sides
from litmobile.tools.compare.page import MAX_PAIRS, build_page
from support.evidence import make_classification, make_detection, make_segmentation
from support.pages import HOSTILE, Page

CLASSES = ("cat", "dog", "cow")


def build(sides: list[Evidence], names: list[str], figures: tuple[str, ...], by: list[str]) -> tuple[Any, Page]:
    """Compare networks, and return the comparison and its page."""
    settings = Settings(figures, resamples=100, by=by)
    found = compare_sides([Side(name, [side]) for name, side in zip(names, sides, strict=True)], settings)
    return found, Page(build_page(found, settings))


def find_labels(page: Page) -> list[str]:
    return [svg["aria-label"] for svg in page.find("svg") if "aria-label" in svg]


def make_detectors(count: int) -> list[Evidence]:
    """Return evidence of detectors that differ in their wrong detections only."""
    return [make_detection(12, CLASSES, wrong=2 * k) for k in range(count)]


def test_a_page_has_the_answer_all_figures_and_all_parts() -> None:
    found, page = build(make_detectors(2), ["few", "many"], ("AP", "AP50"), ["class", "size"])
    assert page.problems == []
    assert found.pairs["AP"][0].sentence in page.text
    titles = ["Figures", "Differences in AP", "Differences in AP50", "AP by class", "AP by size"]
    for title in (*titles, "How the intervals were computed"):
        assert f" {title} " in page.text
    difference = found.pairs["AP"][0].difference
    low, high = difference.interval
    expected = f"few − many: {difference.value:.3f} ({low:.3f} to {high:.3f})."
    assert any(expected in label for label in find_labels(page))


@pytest.mark.parametrize("make", [make_classification, make_segmentation, make_detection])
@pytest.mark.parametrize("images", [2, 7])
def test_small_and_equal_evaluations_have_a_page(make: Any, images: int) -> None:
    evidence = make(images, [*CLASSES, "rare", "rarer", "rarest"])
    figures = evidence.figure_names
    found, page = build([evidence, evidence], ["a", "b"], figures, ["class"])
    assert page.problems == []
    assert "the difference is exactly 0" in page.text
    assert len(found.by["class"].pairs) == 6


def test_charts_of_classes_are_bounded() -> None:
    """Five networks have ten pairs; the table has them all."""
    found, page = build(make_detectors(5), list("vwxyz"), ("AP",), ["class"])
    assert len(found.by["class"].pairs["cat"]) == 10
    assert sum(label.startswith(("v", "w", "x", "y")) for label in find_labels(page)) == MAX_PAIRS
    assert page.text.count("y − z") > 1


def test_names_are_only_text() -> None:
    evidence = make_classification(9, [HOSTILE, "b"])
    _, page = build([evidence, evidence], [HOSTILE, "<b>"], ("top1",), ["class"])
    assert page.problems == []
    assert not page.find("script") and not page.find("b")
    assert HOSTILE in page.text


def test_the_same_comparison_gives_the_same_page() -> None:
    pages = [build(make_detectors(2), ["a", "b"], ("AP",), [])[1] for _ in range(2)]
    assert (pages[0].text, pages[0].elements) == (pages[1].text, pages[1].elements)
