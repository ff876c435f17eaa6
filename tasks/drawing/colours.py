"""Colours of classes: as different from each other as their number allows."""

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


def make_palette(number: int) -> list[Colour]:
    """Chooses ``number`` colours; the first of them do not depend on ``number``. They repeat after 254."""
    distinct = choose_distinct_colours()
    return [distinct[k % len(distinct)] for k in range(number)]


@functools.cache
def choose_distinct_colours() -> tuple[Colour, ...]:
    """Chooses a colour for each value of a label map, each as far as possible from those before it.

    Distances are Euclidean in CIELAB, in which they are about those that people see. Black and white are left out.
    """
    candidates = np.array(list(itertools.product(LEVELS, repeat=3)))
    positions = convert_to_lab(candidates)
    is_usable = (positions[:, 0] > MIN_LIGHTNESS) & (positions[:, 0] < MAX_LIGHTNESS)
    candidates, positions = candidates[is_usable], positions[is_usable]
    taken = convert_to_lab(np.array([(0, 0, 0), IGNORED_COLOUR]))
    distances = np.linalg.norm(positions[:, None] - taken, axis=2).min(axis=1)
    colours: list[Colour] = []
    while len(colours) < IGNORED - 1:
        farthest = int(distances.argmax())
        red, green, blue = candidates[farthest].tolist()
        colours.append((red, green, blue))
        distances = np.minimum(distances, np.linalg.norm(positions - positions[farthest], axis=1))
    return tuple(colours)


def convert_to_lab(colours: NDArray[np.int_]) -> NDArray[np.float32]:
    """Converts RGB colours ``[N, 3]`` in 0 … 255 to CIELAB."""
    scaled = np.asarray(colours / 255, dtype=np.float32)
    return np.asarray(cv2.cvtColor(scaled[None], cv2.COLOR_RGB2LAB)[0], dtype=np.float32)


def make_colour_table(colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Builds a look-up table ``[256, 3]`` from labels to ``colours``; labels without a class are white."""
    table = np.full((IGNORED + 1, 3), IGNORED_COLOUR, dtype=np.uint8)
    table[: len(colours)] = np.array(colours).reshape(-1, 3)
    return table


def choose_text_colour(background: Colour) -> str:
    """Returns "black" on a bright ``background`` and "white" on a dark one."""
    return "black" if np.dot(LUMA, background) > 128 else "white"
