"""Colours of classes: as different from each other as their number allows, also for colour-blind eyes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ...heads.predictions import IGNORED

Colour = tuple[int, int, int]

IGNORED_COLOUR: Colour = (255, 255, 255)  # white, which no known data set uses for a class
LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in the perceived brightness
LEVELS = range(0, 256, 15)  # of red, green and blue among which colours are chosen
MIN_LIGHTNESS, MAX_LIGHTNESS = 20, 93  # of 0 … 100; others look black or white
#: linear RGB that an eye without one kind of cones sees instead of linear RGB: Machado, Oliveira and Fernandes (2009),
#: "A physiologically-based model for simulation of color vision deficiency", severity 1
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
#: factor of the distances that colour-blind eyes see. These see about two dimensions of three: if all eyes counted
#: alike, the distances of 32 colours would shrink from 24 to 15 for normal eyes, and grow from 11 to 12 for the others.
DEFICIENCY_WEIGHT = 2.0


def make_palette(number: int) -> list[Colour]:
    """Chooses ``number`` colours; the first of them do not depend on ``number``. They repeat after 254."""
    distinct = choose_distinct_colours()
    return [distinct[k % len(distinct)] for k in range(number)]


@functools.cache
def choose_distinct_colours() -> tuple[Colour, ...]:
    """Chooses a colour for each value of a label map, each as far as possible from those before it.

    The distance of two colours is the least of those that normal and colour-blind eyes see, see
    :func:`measure_distances`. Black and white are left out. The first seven are 31 apart for every eye, those of Okabe
    and Ito (2008) 16.
    """
    candidates = np.array(list(itertools.product(LEVELS, repeat=3)))
    lightness = convert_to_lab(candidates)[:, 0]
    candidates = candidates[(lightness > MIN_LIGHTNESS) & (lightness < MAX_LIGHTNESS)]
    positions = see_colours(candidates)
    black, white = see_colours(np.array([(0, 0, 0), IGNORED_COLOUR])).transpose(2, 0, 1)
    distances = np.minimum(measure_distances(positions, black), measure_distances(positions, white))
    colours: list[Colour] = []
    while len(colours) < IGNORED - 1:
        farthest = int(distances.argmax())
        red, green, blue = candidates[farthest].tolist()
        colours.append((red, green, blue))
        distances = np.minimum(distances, measure_distances(positions, positions[:, :, farthest]))
    return tuple(colours)


def see_colours(colours: NDArray[np.int_]) -> NDArray[np.float32]:
    """Converts RGB colours ``[N, 3]`` to the CIELAB positions ``[V, 3, N]`` that the eyes of :data:`VISIONS` see."""
    return np.stack([np.ascontiguousarray(convert_to_lab(colours, vision).T) for vision in VISIONS])


def measure_distances(positions: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the distances of colours ``[V, 3, N]`` to another colour ``[V, 3]``: the least of all eyes, ``[N]``.

    Distances are Euclidean in CIELAB, in which they are about those that people see; those of colour-blind eyes count
    twice.
    """
    normal, *others = np.square(positions - other[:, :, None]).sum(axis=1)
    return np.sqrt(np.minimum(normal, DEFICIENCY_WEIGHT**2 * np.min(others, axis=0)))


def convert_to_lab(colours: NDArray[np.int_], vision: str = "normal") -> NDArray[np.float32]:
    """Converts RGB colours ``[N, 3]`` in 0 … 255 to CIELAB, as the eyes of one of :data:`VISIONS` see them."""
    scaled = colours / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)  # of sRGB
    seen = np.clip(linear @ VISIONS[vision].T, 0, 1).astype(np.float32)
    return np.asarray(cv2.cvtColor(seen[None], cv2.COLOR_LRGB2LAB)[0], dtype=np.float32)


def make_colour_table(colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Builds a look-up table ``[256, 3]`` from labels to ``colours``; labels without a class are white."""
    table = np.full((IGNORED + 1, 3), IGNORED_COLOUR, dtype=np.uint8)
    table[: len(colours)] = np.array(colours).reshape(-1, 3)
    return table


def choose_text_colour(background: Colour) -> str:
    """Returns "black" on a bright ``background`` and "white" on a dark one."""
    return "black" if np.dot(LUMA, background) > 128 else "white"
