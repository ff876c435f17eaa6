"""Pairs of truth and prediction have titles, which leave the images as they are."""

from __future__ import annotations

import numpy as np
import pytest

from litmobile.tasks.drawing import MIN_CAPTION_WIDTH, PAIR_GAP, draw_pair
from litmobile.tasks.images import Image


def noise(height: int, width: int, seed: int) -> Image:
    return np.random.default_rng(seed).integers(256, size=(height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(32, 32), (160, 160), (480, 640), (640, 40), (1024, 2048)], ids=str)
def test_both_images_are_under_their_titles(size: tuple[int, int]) -> None:
    height, width = size
    drawn = draw_pair(noise(*size, 0), noise(*size, 1))
    column = max(width, MIN_CAPTION_WIDTH)
    assert drawn.dtype == np.uint8 and drawn.shape[1] == 2 * column + PAIR_GAP
    strip, images = drawn[:-height], drawn[-height:]
    right = column + PAIR_GAP
    assert np.array_equal(images[:, :width], noise(*size, 0))
    assert np.array_equal(images[:, right : right + width], noise(*size, 1))
    assert (images[:, width:right] == 255).all()
    assert 16 <= len(strip) <= max(24, 0.1 * height)
    assert strip[:, :column].max() > 200 and strip[:, right:].max() > 200, "both sides have text"
    assert not np.array_equal(strip[:, :column], strip[:, right:]), "the titles differ"


def test_titles_can_be_replaced_and_long_ones_fit() -> None:
    images = noise(160, 160, 0), noise(160, 160, 1)
    own = draw_pair(*images, titles=("run A", "a very long name of a run " * 5))
    plain = draw_pair(*images)
    assert own.shape == plain.shape and not np.array_equal(own, plain)
    assert np.array_equal(own[-160:], plain[-160:])
