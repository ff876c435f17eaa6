"""SSD's augmentation: pixels and boxes move together, crops overlap objects, and seeds repeat samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from litmobile.errors import UserError
from litmobile.tasks.detection.split import Sample
from litmobile.tasks.detection.transforms import (
    Resize,
    SSDAugmentation,
    box_iou,
    draw_canvas,
    draw_iou_crop,
    mirror,
    warp,
)
from litmobile.tasks.preprocessing import Preprocessing

Fit = Literal["stretch", "pad"]
FITS = pytest.mark.parametrize("fit", ["stretch", "pad"])
SIZES = pytest.mark.parametrize("size", [(96, 96), (64, 120)], ids=str)
BLACK = {"mean": (0.0, 0.0, 0.0)}


def make_config(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"albumentations.{name}", "init_args": init_args}


def draw_rectangle(height: int, width: int, x1: int, y1: int, x2: int, y2: int) -> Sample:
    """A black image with a white rectangle and its box."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y1:y2, x1:x2] = 255
    return Sample(image, np.array([[x1, y1, x2, y2]], dtype=np.float32), np.array([4]))


def bright_box(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """x1, y1, x2, y2 of the bright pixels of ``image``."""
    bright = image[:, :, 0] > 127
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)


def noise(height: int, width: int, boxes: list[list[float]]) -> Sample:
    image = np.random.default_rng(0).integers(256, size=(height, width, 3), dtype=np.uint8)
    return Sample(image, np.array(boxes, dtype=np.float32).reshape(-1, 4), np.arange(len(boxes)) + 10)


BOXES = [[10.0, 12.5, 60.0, 70.0], [55.5, 3.0, 90.0, 40.0], [0.0, 50.0, 119.0, 79.0], [100.0, 60.0, 110.0, 75.5]]


def windows(beyond: bool, height: int, width: int) -> Iterator[NDArray[np.float64]]:
    """Windows of at least half the image, inside it or extending beyond it."""
    random = np.random.default_rng(1)
    for _ in range(60):
        if beyond:
            yield draw_canvas(np.array([0.0, 0.0, width, height]), 3, random)
            corners = random.integers((-width, -height), (width // 2, height // 2))
            sides = random.integers((width // 2, height // 2), (2 * width, 2 * height))
        else:
            sides = random.integers((width // 2, height // 2), (width + 1, height + 1))
            corners = random.integers(0, (width + 1, height + 1) - sides)
        yield np.concatenate((corners, corners + sides)).astype(np.float64)


@FITS
@SIZES
@pytest.mark.parametrize("beyond", [False, True], ids=["inside", "beyond"])
@pytest.mark.parametrize("corners", [(40, 30, 110, 95), (0, 0, 60, 50), (100, 45, 150, 110)], ids=str)
def test_boxes_move_with_the_pixels(
    fit: Fit, size: tuple[int, int], beyond: bool, corners: tuple[int, int, int, int]
) -> None:
    sample, preprocessing = draw_rectangle(110, 150, *corners), Preprocessing(size, fit, **BLACK)
    centre = sample.boxes[0].reshape(2, 2).mean(0)
    kept = 0
    for window in windows(beyond, 110, 150):
        image, boxes, labels = warp(sample, window, preprocessing)
        assert image.shape == (*size, 3) and image.dtype == np.uint8
        assert boxes.dtype == np.float32
        assert len(boxes) == len(labels) == ((centre > window[:2]) & (centre < window[2:])).all()
        for box in boxes:
            kept += 1
            assert np.abs(bright_box(image) - box).max() <= 1, f"window {window}: {bright_box(image)} is not {box}"
    assert kept >= 20


@FITS
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 0, 128)], ids=str)
def test_the_area_beyond_the_image_has_the_mean_colour(fit: Fit, colour: tuple[int, int, int]) -> None:
    preprocessing = Preprocessing((64, 96), fit, mean=tuple(c / 255 for c in colour))
    white = Sample(np.full((50, 50, 3), 255, np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    image = warp(white, np.array([-50.0, -50, 100, 100]), preprocessing).image
    assert (image[:10, :10] == colour).all() and (image[-10:, -10:] == colour).all()


@FITS
@SIZES
def test_validation_inputs_equal_prediction_inputs(fit: Fit, size: tuple[int, int]) -> None:
    sample, preprocessing = noise(80, 120, BOXES), Preprocessing(size, fit)
    resized = Resize()(sample, preprocessing, np.random.default_rng())
    assert np.array_equal(resized.image, preprocessing.apply(sample.image))
    geometry = preprocessing.geometry(80, 120)
    scale = np.array([geometry.columns / 120, geometry.rows / 80] * 2)
    np.testing.assert_allclose(resized.boxes, sample.boxes * scale, atol=1e-4)
    assert resized.labels.tolist() == sample.labels.tolist()


def test_objects_below_one_pixel_are_left_out() -> None:
    sample = noise(300, 300, [[0, 0, 2, 100], [0, 0, 100, 2], [0, 0, 100, 100]])
    assert Resize()(sample, Preprocessing((64, 64)), np.random.default_rng()).labels.tolist() == [12]


@pytest.mark.parametrize("axis", [0, 1])
def test_mirroring_moves_pixels_and_boxes_and_is_an_involution(axis: int) -> None:
    sample = draw_rectangle(70, 90, 5, 10, 40, 33)
    once = mirror(sample, axis)
    assert np.array_equal(once.image, np.flip(sample.image, axis))
    assert np.array_equal(bright_box(once.image), once.boxes[0])
    assert not np.array_equal(once.boxes, sample.boxes)
    sample = noise(80, 120, BOXES)
    twice = mirror(mirror(sample, axis), axis)
    assert np.array_equal(twice.image, sample.image)
    np.testing.assert_allclose(twice.boxes, sample.boxes, atol=1e-4)
    assert twice.labels.tolist() == sample.labels.tolist()


@FITS
@pytest.mark.parametrize(("option", "axis"), [("flip", 1), ("vertical_flip", 0)])
def test_flips_are_as_frequent_as_configured(fit: Fit, option: str, axis: int) -> None:
    sample, preprocessing = draw_rectangle(70, 90, 5, 10, 40, 33), Preprocessing((64, 64), fit, **BLACK)
    plain = Resize()(sample, preprocessing, np.random.default_rng())
    for probability, bounds in ((0.0, (0, 0)), (0.5, (60, 140)), (1.0, (200, 200))):
        augmentation = SSDAugmentation(**{"crop": False, "flip": 0.0, option: probability})
        flipped = 0
        for seed in range(200):
            found = augmentation(sample, preprocessing, np.random.default_rng(seed))
            expected = plain if np.array_equal(found.image, plain.image) else mirror(plain, axis)
            flipped += expected is not plain
            assert np.array_equal(found.image, expected.image) and np.array_equal(found.boxes, expected.boxes)
        assert bounds[0] <= flipped <= bounds[1]


# windows


@pytest.mark.parametrize("most", [1.0, 1.5, 4.0])
def test_expansion_draws_a_canvas_around_the_image(most: float) -> None:
    random, canvases = np.random.default_rng(0), []
    for _ in range(300):
        window = draw_canvas(np.array([0.0, 0, 101, 57]), most, random)
        assert (window == np.round(window)).all()
        assert (window[:2] <= 0).all() and (window[2:] >= (101, 57)).all()
        canvases.append((window[2:] - window[:2]) / (101, 57))
    assert np.max(canvases) <= most + 0.01
    assert np.mean(canvases) == pytest.approx((1 + most) / 2, abs=0.1)


@pytest.mark.parametrize("least", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("window", [(0.0, 0.0, 120.0, 80.0), (-60.0, -30.0, 180.0, 130.0)], ids=str)
def test_crops_contain_the_centre_of_an_object_they_overlap(least: float, window: tuple[float, ...]) -> None:
    x1, y1, x2, y2 = window
    boxes = np.array([[x1 + 2, y1 + 2, x2 - 2, y2 - 2], *BOXES], dtype=np.float32)
    random = np.random.default_rng(0)
    for _ in range(20):
        crop = draw_iou_crop(np.array(window), boxes, random, min_ious=(least,))
        assert (crop == np.round(crop)).all()
        assert (crop[:2] >= window[:2]).all() and (crop[2:] <= window[2:]).all()
        width, height = crop[2:] - crop[:2]
        assert 0.5 <= width / height <= 2
        assert width >= 0.3 * (x2 - x1) - 1 and height >= 0.3 * (y2 - y1) - 1
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = ((centres > crop[:2]) & (centres < crop[2:])).all(1)
        assert (inside & (box_iou(crop[None], boxes)[0] >= least)).any()


def test_crops_have_all_sizes_and_some_images_stay_whole() -> None:
    random, whole = np.random.default_rng(0), np.array([0.0, 0, 120, 80])
    crops = [draw_iou_crop(whole, np.array(BOXES, dtype=np.float32), random) for _ in range(300)]
    assert 300 / 7 / 2 < sum(np.array_equal(crop, whole) for crop in crops) < 300 / 7 * 3
    widths = np.array([crop[2] - crop[0] for crop in crops])
    assert widths.min() < 50 and ((widths > 60) & (widths < 110)).any()


def test_images_without_objects_are_cropped_too() -> None:
    random, whole = np.random.default_rng(0), np.array([0.0, 0, 120, 80])
    crops = [draw_iou_crop(whole, np.zeros((0, 4), np.float32), random) for _ in range(50)]
    assert len({tuple(crop) for crop in crops}) > 20


# the whole

RECIPES: dict[str, dict[str, Any]] = {
    "torchvision": {},
    "mmdetection": {"expand": 4, "photometric": True},
    "flips": {"crop": False, "flip": 0.5, "vertical_flip": 0.5},
    "blur": {"extra": [make_config("GaussianBlur", p=0.5)], "photometric": True, "expand": 4},
    "noise": {"crop": False, "extra": [make_config("GaussNoise", p=1.0)]},
    "geometric": {"extra": [make_config("Affine", translate_percent=(-0.3, 0.3), rotate=(-20, 20), p=1.0)]},
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("boxes", [BOXES, []], ids=["objects", "none"])
@FITS
def test_samples_are_valid_and_a_seed_repeats_them(recipe: dict[str, Any], boxes: Any, fit: Fit) -> None:
    sample, preprocessing = noise(80, 120, boxes), Preprocessing((64, 96), fit)
    before = sample.image.copy(), sample.boxes.copy()
    augmentation, other = SSDAugmentation(**recipe), SSDAugmentation(**recipe)
    images: set[bytes] = set()
    for seed in range(15):
        found = augmentation(sample, preprocessing, np.random.default_rng(seed))
        again = other(sample, preprocessing, np.random.default_rng(seed))
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(found, again, strict=True))
        images.add(found.image.tobytes())
        assert found.image.shape == (64, 96, 3) and found.image.dtype == np.uint8
        assert found.boxes.dtype == np.float32 and found.labels.dtype == np.int64
        assert found.boxes.shape == (len(found.labels), 4) and len(found.labels) <= len(boxes)
        assert (found.boxes >= 0).all() and (found.boxes <= (96, 64, 96, 64)).all()
        assert (found.boxes[:, 2:] - found.boxes[:, :2] >= 1 - 1e-3).all()
        assert set(found.labels.tolist()) <= set(sample.labels.tolist())
    assert len(images) > 3
    assert np.array_equal(sample.image, before[0]) and np.array_equal(sample.boxes, before[1])


@pytest.mark.parametrize(("name", "axis"), [("HorizontalFlip", 1), ("VerticalFlip", 0)])
def test_geometric_albumentations_move_boxes_and_labels(name: str, axis: int) -> None:
    sample, preprocessing = noise(64, 120, BOXES[:2]), Preprocessing((64, 120))
    augmentation = SSDAugmentation(crop=False, flip=0, extra=[make_config(name, p=1.0)])
    found, expected = augmentation(sample, preprocessing, np.random.default_rng(0)), mirror(sample, axis)
    assert np.array_equal(found.image, expected.image)
    np.testing.assert_allclose(found.boxes, np.clip(expected.boxes, 0, (120, 64, 120, 64)), atol=1e-3)
    assert found.labels.tolist() == [10, 11]


def test_labels_follow_boxes_that_albumentations_drops() -> None:
    sample, preprocessing = noise(64, 120, [[0, 0, 20, 20], [80, 10, 110, 50]]), Preprocessing((64, 120))
    shift = make_config("Affine", translate_px={"x": -60, "y": 0}, p=1.0)
    found = SSDAugmentation(crop=False, flip=0, extra=[shift])(sample, preprocessing, np.random.default_rng(0))
    assert found.labels.tolist() == [11]
    np.testing.assert_allclose(found.boxes, [[20, 10, 50, 50]], atol=1)


def test_photometric_distortion_changes_only_images() -> None:
    sample, preprocessing = noise(64, 96, BOXES[:1]), Preprocessing((64, 96))
    augmentation, changed = SSDAugmentation(crop=False, flip=0, photometric=True), 0
    for seed in range(40):
        found = augmentation(sample, preprocessing, np.random.default_rng(seed))
        assert np.array_equal(found.boxes, Resize()(sample, preprocessing, np.random.default_rng()).boxes)
        changed += not np.array_equal(found.image, sample.image)
    assert 20 < changed < 40


def test_albumentations_transforms_are_independent() -> None:
    sample, preprocessing = noise(64, 96, []), Preprocessing((64, 96))
    flips = [make_config("HorizontalFlip", p=0.5), make_config("VerticalFlip", p=0.5)]
    augmentation = SSDAugmentation(crop=False, flip=0, extra=flips)
    found = [augmentation(sample, preprocessing, np.random.default_rng(seed)).image for seed in range(60)]
    for axes in ((), (0,), (1,), (0, 1)):
        count = sum(np.array_equal(image, np.flip(sample.image, axes)) for image in found)
        assert 5 <= count <= 28, f"of 60 images {count} are flipped along {axes} alone"


@pytest.mark.parametrize(
    "config",
    [
        make_config("GaussianBlurr"),
        {"class_path": "nowhere.Blur"},
        {"class_path": "os.path.join"},
        {"class_path": "torch.nn.ReLU"},
        {"class_path": ""},
        {},
    ],
    ids=str,
)
def test_unknown_albumentations_transforms_are_named(
    config: dict[str, Any], assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match="extra") as caught:
        SSDAugmentation(extra=[config])
    assert_one_sentence(caught.value, config.get("class_path", "needs a class_path"))


@pytest.mark.parametrize(
    "arguments", [{"blur_limits": 3}, {"p": 3}, {"blur_limit": "wide"}, {"sigma_limit": [1, 2, 3]}], ids=str
)
def test_init_args_that_do_not_fit_are_refused(
    arguments: dict[str, Any], assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(UserError, match="extra") as caught:
        SSDAugmentation(extra=[make_config("GaussianBlur", **arguments)])
    assert_one_sentence(caught.value, "albumentations.GaussianBlur", *arguments)


@pytest.mark.parametrize(
    "config", [make_config("Resize", height=32, width=32), make_config("RandomCrop", height=32, width=32)], ids=str
)
def test_albumentations_that_change_the_size_are_refused(
    config: dict[str, Any], assert_one_sentence: Callable[..., None]
) -> None:
    augmentation = SSDAugmentation(extra=[config])
    with pytest.raises(ValueError, match="augmentation") as caught:
        augmentation(noise(64, 64, BOXES[:1]), Preprocessing((64, 64)), np.random.default_rng(0))
    assert_one_sentence(caught.value, "32")


@pytest.mark.parametrize("option", [{"expand": 0.5}, {"flip": 7.0}, {"vertical_flip": -1.0}], ids=str)
def test_values_out_of_range_are_refused(option: dict[str, float], assert_one_sentence: Callable[..., None]) -> None:
    (name, value), *_ = option.items()
    with pytest.raises(ValueError, match=name) as caught:
        SSDAugmentation(**option)  # pyright: ignore[reportArgumentType] — none of these is a flag
    assert_one_sentence(caught.value, str(value))
