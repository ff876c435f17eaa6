"""Crops and colours have the distributions of their definitions, which are written out here as slow loops."""

from __future__ import annotations

import albumentations as A
import numpy as np
import pytest
from numpy.random import Generator
from scipy.stats import ks_2samp

from litmobile.tasks.albumentation import distort_colours
from litmobile.tasks.detection.transforms import draw_iou_crop

SIGNIFICANCE = 0.001  # seeds are fixed, so a correct implementation passes always
BOXES = np.array([[10, 12, 60, 70], [55, 3, 90, 40], [0, 50, 119, 79]], dtype=np.float32)


def draw_crop_one_by_one(boxes: np.ndarray, random: Generator) -> list[float]:
    """SSD's crop of an image of 120×80 pixels, one trial after the other."""
    while True:
        min_iou = random.choice([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
        if min_iou == 1:
            return [0, 0, 120, 80]
        for _ in range(40):
            width, height = np.floor(120 * random.uniform(0.3, 1)), np.floor(80 * random.uniform(0.3, 1))
            left, top = np.floor((120 - width) * random.random()), np.floor((80 - height) * random.random())
            if not 0.5 <= width / height <= 2:
                continue
            ious = []
            for x1, y1, x2, y2 in boxes:
                if left < (x1 + x2) / 2 < left + width and top < (y1 + y2) / 2 < top + height:
                    shared = (min(x2, left + width) - max(x1, left)) * (min(y2, top + height) - max(y1, top))
                    ious.append(shared / (width * height + (x2 - x1) * (y2 - y1) - shared))
            if not len(boxes) or max(ious, default=-1) >= min_iou:
                return [left, top, left + width, top + height]


@pytest.mark.parametrize("boxes", [BOXES, BOXES[:0]], ids=["objects", "none"])
def test_crops_have_the_distribution_of_ssd(boxes: np.ndarray) -> None:
    ours, theirs = np.random.default_rng(0), np.random.default_rng(1)
    crops = np.array([draw_iou_crop(np.array([0.0, 0, 120, 80]), boxes, ours) for _ in range(1500)])
    expected = np.array([draw_crop_one_by_one(boxes, theirs) for _ in range(1500)])
    for statistic in (
        lambda c: c[:, 0],
        lambda c: c[:, 1],
        lambda c: c[:, 2] - c[:, 0],
        lambda c: c[:, 3] - c[:, 1],
        lambda c: (c[:, 2] - c[:, 0]) / (c[:, 3] - c[:, 1]),
    ):
        assert ks_2samp(statistic(crops), statistic(expected)).pvalue > SIGNIFICANCE


def test_colours_have_the_distribution_of_albumentations() -> None:
    image = np.random.default_rng(0).integers(40, 200, (6, 6, 3), dtype=np.uint8)
    compose = A.Compose(
        [
            A.RandomBrightnessContrast(brightness_limit=32 / 255, contrast_limit=0.5, p=0.5),
            A.ColorJitter(brightness=(1, 1), contrast=(1, 1), saturation=(0.5, 1.5), hue=(-0.05, 0.05), p=0.5),
        ],
        seed=0,
    )
    random = np.random.default_rng(0)
    ours = np.array([distort_colours(image, random) for _ in range(1500)], dtype=float)
    theirs = np.array([compose(image=image)["image"] for _ in range(1500)], dtype=float)
    for statistic in (
        lambda x: x.mean((1, 2, 3)),  # brightness
        lambda x: x.std((1, 2, 3)),  # contrast
        lambda x: (x.max(3) - x.min(3)).mean((1, 2)),  # saturation
        lambda x: (x[..., 0] - x[..., 1]).reshape(len(x), -1)[:, 3],  # hue of one pixel
    ):
        assert ks_2samp(statistic(ours), statistic(theirs)).pvalue > SIGNIFICANCE
    unchanged = [(x == image).all((1, 2, 3)).mean() for x in (ours, theirs)]
    assert unchanged == pytest.approx([0.25, 0.25], abs=0.04)
