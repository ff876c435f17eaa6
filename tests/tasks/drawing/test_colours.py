"""Colours of a palette differ for normal and for colour-blind eyes."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.drawing import RIGHT_COLOUR, WRONG_COLOUR, Colour, make_palette
from litmobile.tasks.drawing.colours import VISIONS, convert_to_lab

DEFICIENT = [vision for vision in VISIONS if vision != "normal"]
OKABE_ITO = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)]


def least_distance(colours: list[Colour], vision: str) -> float:
    """Return the distance of the two most similar colours in CIELAB, where just noticeable differences are about 2."""
    positions = convert_to_lab(np.array(colours), vision)
    distances = np.linalg.norm(positions[:, None] - positions, axis=2) + 1000 * np.eye(len(colours))
    return float(distances.min())


@pytest.mark.parametrize("classes", [2, 19, 64])
def test_a_colour_does_not_depend_on_the_number_of_classes(classes: int) -> None:
    assert make_palette(254)[:classes] == make_palette(classes)
    assert len(set(make_palette(classes))) == classes


@pytest.mark.parametrize(("classes", "least"), [(2, 90), (7, 50), (20, 30), (32, 24), (254, 7.5)])
def test_no_two_colours_look_alike(classes: int, least: float) -> None:
    assert least_distance([*make_palette(classes), (255, 255, 255), (0, 0, 0)], "normal") > least


@pytest.mark.parametrize("vision", DEFICIENT)
@pytest.mark.parametrize(("classes", "least"), [(2, 60), (7, 30), (12, 18), (20, 15), (32, 11), (254, 3.5)])
def test_no_two_colours_look_alike_to_colour_blind_eyes(classes: int, least: float, vision: str) -> None:
    assert least_distance([*make_palette(classes), (255, 255, 255), (0, 0, 0)], vision) > least


@pytest.mark.parametrize("vision", VISIONS)
def test_seven_colours_differ_more_than_those_of_okabe_and_ito(vision: str) -> None:
    assert least_distance(make_palette(7), vision) > 1.25 * least_distance(OKABE_ITO, vision)


@pytest.mark.parametrize("vision", VISIONS)
def test_greys_look_the_same_to_all_eyes(vision: str) -> None:
    greys = np.array([(0, 0, 0), (90, 90, 90), (255, 255, 255)])
    assert np.abs(convert_to_lab(greys, vision) - convert_to_lab(greys)).max() < 0.1


@pytest.mark.parametrize(
    ("confused", "visions"),
    [
        ([(170, 80, 0), (95, 115, 0)], ("protanopia", "deuteranopia")),  # brown and olive
        ([(0, 150, 160), (60, 130, 255)], ("tritanopia",)),  # teal and blue
    ],
)
def test_each_vision_confuses_its_own_colours(confused: list[Colour], visions: tuple[str, ...]) -> None:
    normal = least_distance(confused, "normal")
    weaker = {vision for vision in DEFICIENT if least_distance(confused, vision) < 0.5 * normal}
    assert weaker == set(visions)


@pytest.mark.parametrize("vision", VISIONS)
def test_right_and_wrong_differ_for_all_eyes(vision: str) -> None:
    assert least_distance([RIGHT_COLOUR, WRONG_COLOUR], vision) > 50
