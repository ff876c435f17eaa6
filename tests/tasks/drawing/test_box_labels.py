"""Labels of boxes are inside the image, touch their boxes, and do not cover each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from litmobile.tasks.drawing.box_labels import MAX_LABELS, Place, place_labels

SIZE = (480, 640)
BOX = (200.0, 200.0, 300.0, 280.0)


def random_boxes(count: int) -> list[list[float]]:
    random = np.random.default_rng(0)
    corners = random.uniform((-20, -20), (640, 480), (count, 2))
    return np.hstack((corners, corners + random.uniform(0, 200, (count, 2)))).tolist()


@pytest.mark.parametrize("count", [0, 1, 20, 300])
def test_labels_do_not_cover_each_other(count: int) -> None:
    boxes = random_boxes(count)
    places = place_labels(boxes, [40 + k % 60 for k in range(count)], 15, SIZE)
    assert len(places) == count
    drawn = [place for place in places if place is not None]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(drawn, 2))
    assert all(0 <= place.left <= place.right <= 640 and 0 <= place.top <= place.bottom <= 480 for place in drawn)
    assert len(drawn) <= MAX_LABELS and len(drawn) >= min(count, 15)


@pytest.mark.parametrize("count", [1, 8, 9, 100])
def test_the_first_labels_of_equal_boxes_are_placed(count: int) -> None:
    places = place_labels([BOX] * count, [40] * count, 15, SIZE)
    number = sum(place is not None for place in places)
    assert number == min(count, 8)
    assert all(place is not None for place in places[:number])


def test_a_label_is_above_its_box_if_it_can_be() -> None:
    assert place_labels([BOX], [40], 15, SIZE) == [Place(200, 185, 240, 200)]


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((0.0, 0.0, 100.0, 59.0), (0, 59, 40, 74)),  # below a small box
        ((0.0, 0.0, 39.0, 480.0), (0, 0, 40, 15)),
        ((0.0, 0.0, 100.0, 60.0), (0, 0, 40, 15)),  # inside a larger one
        ((0.0, 0.0, 640.0, 480.0), (0, 0, 40, 15)),
        ((-50.0, -50.0, 700.0, 500.0), (0, 0, 40, 15)),
        ((630.0, 200.0, 640.0, 210.0), (600, 185, 640, 200)),  # moved to the left
        ((200.0, 200.0, 200.0, 200.0), (200, 185, 240, 200)),  # a box without area
    ],
    ids=str,
)
def test_a_label_stays_in_the_image(box: tuple[float, ...], place: tuple[float, ...]) -> None:
    assert place_labels([box], [40], 15, SIZE) == [Place(*place)]


@pytest.mark.parametrize("box", [(0.0, 0.0, 9.0, 9.0), (2.0, 3.0, 4.0, 5.0)], ids=str)
def test_a_label_higher_than_the_image_has_no_place(box: tuple[float, ...]) -> None:
    assert place_labels([box], [8], 15, (10, 10)) == [None]


def test_at_most_60_labels_are_placed() -> None:
    boxes = [[x, y, x + 1, y + 1] for x in range(0, 2000, 100) for y in range(50, 2000, 100)]
    places = place_labels(boxes, [40] * len(boxes), 15, (2000, 2000))
    assert [place is not None for place in places] == [True] * MAX_LABELS + [False] * (len(boxes) - MAX_LABELS)
