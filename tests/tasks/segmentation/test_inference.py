"""Windows cover every pixel, and views are averaged."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litmobile.tasks.segmentation import Inference
from litmobile.tasks.segmentation.inference import scale_images, window_starts

OneSentence = Callable[..., None]


class PerPixel(nn.Module):
    """Scores each pixel from its own colour alone, and records the shapes of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Conv2d(3, 4, 1)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shapes.append(tuple(images.shape))
        values = images if images.is_floating_point() else images / 255
        return self.linear(values.to(self.linear.weight.dtype)) * 5


class Neighbourhood(nn.Module):
    """Scores that depend on the neighbours of a pixel, symmetrically, and on the maximum of the window."""

    def forward(self, images: Tensor) -> Tensor:
        values = images if images.is_floating_point() else images / 255
        around = F.avg_pool2d(values, (3, 5), 1, (1, 2))
        return torch.cat((values, around, values.amax((2, 3), keepdim=True).expand_as(values)), dim=1) * 4


def make_images(height: int = 70, width: int = 90, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("window", [32, 33, 64, 100])
@pytest.mark.parametrize("whole", [100, 101, 127, 128, 129, 333])
def test_windows_cover_every_pixel_and_overlap_as_asked(whole: int, window: int, overlap: float) -> None:
    starts = window_starts(whole, window, overlap)
    assert starts[0] == 0 and starts[-1] + window == whole
    steps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert all(0 < step <= window * (1 - overlap) + 1e-9 for step in steps)
    if len(steps) > 1:
        assert (whole - window) / (len(steps) - 1) > int(window * (1 - overlap) + 1e-9), (
            "fewer windows would overlap less"
        )


def test_few_windows_are_spread_evenly() -> None:
    assert window_starts(100, 50, 0.0) == [0, 50]
    assert window_starts(128, 64, 0.5) == [0, 32, 64]
    assert window_starts(101, 50, 0.0) == [0, 26, 51]
    assert window_starts(50, 50, 0.9) == [0]


@pytest.mark.parametrize(
    "options",
    [
        {"window": (32, 32)},
        {"window": (32, 64), "overlap": 0.0},
        {"window": (40, 90), "overlap": 0.8},
        {"window": (70, 33)},
        {"window": (33, 47), "flip": True},
        {"window": (1000, 40)},
        {"flip": True},
        {"flip": True, "scales": (1.0, 1.0)},
    ],
    ids=str,
)
def test_views_do_not_change_per_pixel_predictions(options: dict[str, Any]) -> None:
    network, images = PerPixel().double(), make_images()
    with torch.no_grad():
        plain, found = Inference()(network, images), Inference(**options)(network, images)
    torch.testing.assert_close(plain, network(images), rtol=0, atol=0)
    torch.testing.assert_close(found, plain.softmax(1), rtol=0, atol=1e-6)
    assert torch.equal(found.argmax(1), plain.argmax(1))


@pytest.mark.parametrize("window", [(70, 90), (70, 200), (500, 500)])
def test_a_large_window_shows_the_whole_input(window: tuple[int, int]) -> None:
    network, images = Neighbourhood(), make_images()
    torch.testing.assert_close(Inference(window=window)(network, images), network(images), rtol=0, atol=0)


def test_windows_average_the_softmax() -> None:
    network, images = Neighbourhood(), make_images()
    total, count = torch.zeros(2, 9, 70, 90), torch.zeros(70, 90)
    for top in (0, 19, 38):
        for left in (0, 20, 40):
            total[:, :, top : top + 32, left : left + 50] += network(
                images[:, :, top : top + 32, left : left + 50]
            ).softmax(1)
            count[top : top + 32, left : left + 50] += 1
    assert count.min() == 1 and count.max() == 6
    found = Inference(window=(32, 50), overlap=0.4)(network, images)
    torch.testing.assert_close(found, total / count)
    assert (found - network(images).softmax(1)).abs().max() > 0.001, "windows see less than the whole image"


def test_windows_have_the_given_size() -> None:
    network = PerPixel()
    Inference(window=(32, 48), overlap=0.2)(network, make_images())
    assert set(network.shapes) == {(2, 3, 32, 48)} and len(network.shapes) == 3 * 3


def test_scales_and_flips_are_averaged() -> None:
    network, images = Neighbourhood(), make_images()
    floats = images / 255
    expected = []
    for size in ((35, 45), (70, 90), (105, 135)):
        view: Tensor = images
        if size != (70, 90):
            view = F.interpolate(floats, size, mode="bilinear", align_corners=False, antialias=size[0] < 70)
        for is_flipped in (False, True):
            scores = network(view.flip(3) if is_flipped else view).softmax(1)
            scores = scores.flip(3) if is_flipped else scores
            expected.append(F.interpolate(scores, (70, 90), mode="bilinear", align_corners=False))
    found = Inference(scales=(0.5, 1.0, 1.5), flip=True)(network, images)
    torch.testing.assert_close(found, torch.stack(expected).mean(0), rtol=0, atol=1e-6)


def test_flips_do_not_change_a_symmetric_network() -> None:
    network, images = Neighbourhood(), make_images()
    found = Inference(flip=True)(network, images)
    torch.testing.assert_close(found, network(images).softmax(1), rtol=0, atol=1e-6)


def test_scores_of_flipped_images_are_flipped_back() -> None:
    class LeftHalf(nn.Module):
        """Predicts class 1 in the left half of its input."""

        def forward(self, images: Tensor) -> Tensor:
            scores = torch.zeros(len(images), 2, *images.shape[2:])
            scores[:, 1, :, : images.shape[3] // 2] = 20
            scores[:, 0, :, images.shape[3] // 2 :] = 20
            return scores

    found = Inference(flip=True)(LeftHalf(), make_images())
    torch.testing.assert_close(found, found.flip(3))
    torch.testing.assert_close(found, torch.full_like(found, 0.5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.77, 1.3, 2.0])
def test_scaled_images_are_floats_of_the_nearest_size(scale: float) -> None:
    found = scale_images(make_images(), scale)
    assert found.shape == (2, 3, round(70 * scale), round(90 * scale))
    assert found.dtype == torch.float32 and found.min() >= 0 and found.max() <= 1
    grey = scale_images(torch.full((1, 3, 70, 90), 51, dtype=torch.uint8), scale)
    torch.testing.assert_close(grey, torch.full_like(grey, 0.2))


def test_images_keep_their_size_at_scale_1_and_a_minimum() -> None:
    images = make_images()
    assert scale_images(images, 1.0) is images
    assert scale_images(images, 0.1).shape == (2, 3, 32, 32)
    assert torch.equal(scale_images(images / 255, 2.0), scale_images(images, 2.0))


@pytest.mark.parametrize("options", [{}, {"window": (32, 32)}, {"flip": True, "scales": (0.75, 1.0)}], ids=str)
def test_scores_have_the_input_size_in_full_precision(options: dict[str, Any]) -> None:
    images = make_images(65, 97, count=3)
    for kind, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        found = Inference(**options)(PerPixel().to(kind), images)
        assert found.shape == (3, 4, 65, 97)
        assert found.dtype == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": (31, 64)}, ["window", "32", "(31, 64)"]),
        ({"overlap": 1.0}, ["overlap", "1.0"]),
        ({"overlap": -0.1}, ["overlap", "-0.1"]),
        ({"scales": ()}, ["scales", "one or more"]),
        ({"window": (64,)}, ["window", "(64,)"]),
        ({"scales": (1.0, 0.0)}, ["scales", "above 0", "0.0"]),
        ({"scales": (math.inf,)}, ["scales", "up to 8", "inf"]),
        ({"scales": (math.nan, 1.0)}, ["scales", "nan"]),
    ],
    ids=str,
)
def test_invalid_values_are_refused(
    options: dict[str, Any], words: list[str], assert_one_sentence: OneSentence
) -> None:
    with pytest.raises(ValueError, match=words[0]) as caught:
        Inference(**options)
    assert_one_sentence(caught.value, words)
