"""Image and mask stay one: the same scale, crop, flip and padding for both, each on its own ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray

from litmobile.errors import DataError
from litmobile.tasks.preprocessing import Preprocessing
from litmobile.tasks.segmentation import Resize, ScaleCropAugmentation
from litmobile.tasks.segmentation.split import Sample
from litmobile.tasks.segmentation.transforms import TRIALS, Augmentation, largest_share

Fit = Literal["stretch", "pad"]
FITS = pytest.mark.parametrize("fit", ["stretch", "pad"])
STEP = 8  # of brightness from pixel to pixel, so that an image tells positions to an eighth of one
BLUE = 100  # of all images here, which that of the padding is not
PADDED = {"mean": (0.2, 0.4, 0.8)}
FILL = (51, 102, 204)


def seeded(seed: int) -> Generator:
    return np.random.default_rng(seed)


def ramp(height: int, width: int, axis: int) -> Sample:
    """An image whose red tells the row (``axis`` 0) or the column (1) of a pixel, and a mask that tells the same."""
    place = np.indices((height, width))[axis]
    image = np.stack([place * STEP, place * 0, place * 0 + BLUE], axis=2)
    return Sample(image.astype(np.uint8), place.astype(np.uint8))


def noise(height: int, width: int, classes: int = 5) -> Sample:
    random = seeded(0)
    image = random.integers(256, size=(height, width, 3), dtype=np.uint8)
    return Sample(image, random.integers(classes, size=(height, width), dtype=np.uint8))


def assert_together(shown: Sample) -> None:
    """The mask tells every pixel's place to half a pixel, and is 255 where there is no image."""
    beyond = shown.image[:, :, 2] != BLUE
    assert np.array_equal(beyond, shown.labels == 255)
    assert (shown.image[beyond] == FILL).all()
    apart = shown.image[:, :, 0] / STEP - shown.labels
    # half a pixel, and rounding of the image to whole steps
    assert np.abs(apart[~beyond]).max() <= 0.5 + 1 / STEP


# validation


@FITS
@pytest.mark.parametrize("size", [(60, 80), (81, 33), (300, 200), (7, 5), (1, 1), (48, 40), (96, 80)], ids=str)
def test_validation_sees_the_image_as_everyone_does(fit: Fit, size: tuple[int, int]) -> None:
    sample, preprocessing = noise(*size), Preprocessing((48, 40), fit, **PADDED)
    shown = Resize()(sample, preprocessing, seeded(0))
    assert np.array_equal(shown.image, preprocessing.apply(sample.image))
    geometry = preprocessing.geometry(*size)
    rows = ((np.arange(geometry.rows) + 0.5) * size[0] / geometry.rows).astype(int)
    columns = ((np.arange(geometry.columns) + 0.5) * size[1] / geometry.columns).astype(int)
    assert np.array_equal(shown.labels[: geometry.rows, : geometry.columns], sample.labels[rows][:, columns])
    assert (shown.labels[geometry.rows :] == 255).all() and (shown.labels[:, geometry.columns :] == 255).all()
    assert shown.labels.shape == (48, 40) and shown.labels.dtype == np.uint8


@FITS
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("size", [(30, 30), (31, 17), (12, 29)], ids=str)
def test_masks_lie_on_images_in_validation(fit: Fit, axis: int, size: tuple[int, int]) -> None:
    for inputs in ((32, 32), (97, 64), (40, 133)):
        assert_together(Resize()(ramp(*size, axis), Preprocessing(inputs, fit, **PADDED), seeded(0)))


# scale, crop, flip


@FITS
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("size", [(30, 30), (31, 17), (12, 29)], ids=str)
@pytest.mark.parametrize("scale", [(0.5, 2.0), (0.1, 0.6), (2.0, 5.0), (1.0, 1.0)], ids=str)
def test_masks_lie_on_images_at_every_scale_crop_and_flip(
    fit: Fit, axis: int, size: tuple[int, int], scale: tuple[float, float]
) -> None:
    sample = ramp(*size, axis)
    for crop in (None, (32, 32), (40, 90), (75, 32)):
        augmentation = ScaleCropAugmentation(crop, scale)
        preprocessing = Preprocessing((33, 50), fit, **PADDED)
        for seed in range(8):
            shown = augmentation(sample, preprocessing, seeded(seed))
            assert shown.labels.shape == shown.image.shape[:2] == (crop or (33, 50))
            assert shown.image.dtype == shown.labels.dtype == np.uint8
            assert_together(shown)


def extents(
    augmentation: Augmentation, size: tuple[int, int], preprocessing: Preprocessing, draws: int
) -> NDArray[Any]:
    """First and last row and column of every draw that show the image, ``[draws, 4]``."""
    sample = ramp(*size, 0)
    found = []
    for seed in range(draws):
        there = augmentation(sample, preprocessing, seeded(seed)).labels != 255
        rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
        found.append((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    return np.array(found)


def assert_uniform(values: NDArray[Any], low: float, high: float) -> None:
    """``values`` are spread evenly, by their quarters, and reach both ends."""
    quarters = np.histogram(values, bins=4, range=(low, high))[0] / len(values)
    assert quarters.sum() == 1
    assert np.abs(quarters - 0.25).max() < 0.05, quarters
    assert values.min() < low + (high - low) / 20 and values.max() > high - (high - low) / 20


def test_scales_are_spread_evenly_and_images_lie_anywhere_in_larger_crops() -> None:
    top, bottom, left, right = extents(ScaleCropAugmentation((90, 90)), (32, 32), Preprocessing((32, 32)), 1500).T
    assert np.array_equal(bottom - top, right - left), "one scale for both sides"
    assert_uniform((bottom - top) / 32, 0.5, 2)
    assert_uniform(top / (90 - (bottom - top)), 0, 1)
    assert_uniform(left / (90 - (right - left)), 0, 1)
    assert abs(np.corrcoef(top / (90 - (bottom - top)), left / (90 - (right - left)))[0, 1]) < 0.1


def test_the_scale_is_that_of_the_image_in_the_input() -> None:
    once = ScaleCropAugmentation((100, 100), scale=(1.5, 1.5))
    (stretched,) = extents(once, (30, 20), Preprocessing((40, 60), "stretch"), 1)
    assert (stretched[1] - stretched[0], stretched[3] - stretched[2]) == (60, 90)
    (padded,) = extents(once, (30, 20), Preprocessing((40, 60), "pad"), 1)
    assert (padded[1] - padded[0], padded[3] - padded[2]) == (60, 40)


def test_crops_are_spread_evenly_over_larger_images() -> None:
    augmentation, preprocessing = ScaleCropAugmentation((32, 32), scale=(1, 1), flip=0), Preprocessing((96, 80))
    sample = Sample(np.zeros((96, 80, 3), np.uint8), np.indices((96, 80))[0].astype(np.uint8))
    across = Sample(sample.image, np.indices((96, 80))[1].astype(np.uint8))
    top = np.array([augmentation(sample, preprocessing, seeded(seed)).labels[0, 0] for seed in range(1500)])
    left = np.array([augmentation(across, preprocessing, seeded(seed)).labels[0, 0] for seed in range(1500)])
    assert (top.min(), top.max(), left.min(), left.max()) == (0, 64, 0, 48)
    assert_uniform(top, 0, 64)
    assert_uniform(left, 0, 48)
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.1


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_a_crop_shows_the_crops_share_of_the_scaled_image(scale: float) -> None:
    augmentation = ScaleCropAugmentation((32, 40), scale=(scale, scale))
    for axis, side in ((0, 32), (1, 40)):
        shown = augmentation(ramp(200, 240, axis), Preprocessing((200, 240)), seeded(1)).labels.astype(int)
        assert abs(shown.max() - shown.min() + 1 - side / scale) <= 1


@pytest.mark.parametrize("flip", [0, 0.3, 0.5, 1])
def test_images_are_mirrored_as_often_as_is_said(flip: float) -> None:
    augmentation, preprocessing = ScaleCropAugmentation(scale=(1, 1), flip=flip), Preprocessing((32, 32))
    sample = noise(32, 32)
    mirrored = 0
    for seed in range(600):
        shown = augmentation(sample, preprocessing, seeded(seed))
        mirrored += int(shown.labels[0, :5].tolist() == sample.labels[0, :-6:-1].tolist())
        if flip in (0, 1):
            turn = slice(None, None, -1 if flip else 1)
            assert np.array_equal(shown.image, sample.image[:, turn])
            assert np.array_equal(shown.labels, sample.labels[:, turn])
    assert abs(mirrored / 600 - flip) < 0.06


def test_the_way_of_both_is_scale_then_crop_then_flip() -> None:
    """At scale 1 and with the whole image in the crop nothing is changed but by padding."""
    sample = noise(40, 36)
    augmentation = ScaleCropAugmentation((60, 50), scale=(1, 1), flip=0)
    shown = augmentation(sample, Preprocessing((40, 36), **PADDED), seeded(3))
    there = np.argwhere(shown.labels != 255)
    top, left = there.min(0)
    part = slice(top, top + 40), slice(left, left + 36)
    assert np.array_equal(shown.labels[part], sample.labels)
    assert np.array_equal(shown.image[part], sample.image)
    assert (shown.labels == 255).sum() == 60 * 50 - 40 * 36


def test_nothing_of_a_sample_is_changed_in_place() -> None:
    sample = noise(50, 60)
    before = Sample(sample.image.copy(), sample.labels.copy())
    augmentation = ScaleCropAugmentation((40, 40), photometric=True, extra=[a("Rotate", p=1)])
    for seed in range(5):
        augmentation(sample, Preprocessing((50, 60)), seeded(seed))
    assert np.array_equal(sample.image, before.image) and np.array_equal(sample.labels, before.labels)


# crops that one class fills


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        ([[0, 0, 0, 1]], 0.75),
        ([[0, 0, 255, 255], [1, 255, 255, 255]], 2 / 3),
        ([[254, 254, 3]], 2 / 3),
        ([[7, 7]], 1),
        ([[255, 255]], 1),
    ],
)
def test_the_share_of_the_largest_class_is_of_labelled_pixels(labels: list[list[int]], share: float) -> None:
    array = np.array(labels, np.uint8)
    assert largest_share(array) == pytest.approx(share)
    assert largest_share(np.repeat(array, 3, axis=1)[:, 1::3]) == pytest.approx(share), "a view of another array"


def shares(most: float, labels: NDArray[np.uint8], draws: int = 400) -> NDArray[np.float64]:
    augmentation = ScaleCropAugmentation((32, 32), scale=(1, 1), cat_max_ratio=most)
    sample = Sample(np.zeros((*labels.shape, 3), np.uint8), labels)
    shown = (augmentation(sample, Preprocessing(labels.shape), seeded(seed)).labels for seed in range(draws))  # pyright: ignore[reportArgumentType]
    return np.array([largest_share(crop) for crop in shown])


def test_crops_that_one_class_fills_are_drawn_again_up_to_ten_times() -> None:
    labels = np.zeros((32, 132), np.uint8)
    labels[:, -20:] = 1  # of the 101 crops 12 at the right have a quarter of it and more
    assert TRIALS == 10
    plain, better = shares(1, labels, 1000), shares(0.75, labels, 1000)
    assert (plain <= 0.75).mean() == pytest.approx(12 / 101, abs=0.03)
    assert (better <= 0.75).mean() == pytest.approx(1 - (1 - 12 / 101) ** TRIALS, abs=0.05)


def test_pixels_of_no_class_do_not_count_among_those() -> None:
    labels = np.full((64, 64), 255, np.uint8)
    labels[::2, ::2] = 0
    labels[1::2, ::2] = 1
    assert np.array_equal(shares(0.6, labels, 50), shares(1, labels, 50)), "no crop was drawn again"


@pytest.mark.parametrize("value", [0, 255])
def test_images_of_one_class_and_of_none_are_taken_all_the_same(value: int) -> None:
    sample = Sample(noise(64, 64).image, np.full((64, 64), value, np.uint8))
    augmentation = ScaleCropAugmentation((32, 32), scale=(1, 2), cat_max_ratio=0.5)
    shown = augmentation(sample, Preprocessing((64, 64)), seeded(0))
    assert (shown.labels == value).all()


# colours and what comes from albumentations


def a(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"albumentations.{name}", "init_args": init_args}


@pytest.mark.parametrize(
    "arguments",
    [{"photometric": True}, {"extra": [a("GaussianBlur", p=1)]}, {"extra": [a("ToGray", p=1)]}],
    ids=["photometric", "blur", "grey"],
)
def test_colours_are_the_images_alone(arguments: dict[str, Any]) -> None:
    sample, preprocessing = noise(60, 50), Preprocessing((48, 64))
    changed = 0
    for seed in range(20):
        plain = ScaleCropAugmentation()(sample, preprocessing, seeded(seed))
        shown = ScaleCropAugmentation(**arguments)(sample, preprocessing, seeded(seed))
        assert np.array_equal(shown.labels, plain.labels)
        changed += not np.array_equal(shown.image, plain.image)
    assert changed >= 10


GEOMETRIC = [
    a("Rotate", limit=(30, 30), border_mode=cv2.BORDER_CONSTANT, p=1),
    a("SafeRotate", limit=(30, 30), border_mode=cv2.BORDER_CONSTANT, p=1),
    a("Affine", rotate=(20, 20), translate_percent=(0.2, 0.2), p=1),
    a("ShiftScaleRotate", shift_limit=(0.2, 0.2), border_mode=cv2.BORDER_CONSTANT, p=1),
    a("Perspective", scale=(0.2, 0.2), fit_output=True, p=1),
    a("CoarseDropout", p=1),
]


@pytest.mark.filterwarnings("ignore:ShiftScaleRotate")  # albumentations would rather have Affine
@pytest.mark.parametrize("extra", GEOMETRIC, ids=lambda config: config["class_path"].rpartition(".")[2])
def test_what_comes_in_from_outside_is_no_class(extra: dict[str, Any]) -> None:
    sample = Sample(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.uint8))
    shown = ScaleCropAugmentation(scale=(1, 1), extra=[extra])(sample, Preprocessing((64, 64)), seeded(0))
    black, none = (shown.image == 0).all(2), shown.labels == 255
    assert set(np.unique(shown.labels)) == {1, 255}
    assert none.sum() > 50
    inner = cv2.erode(black.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # the image is blurred at its border
    assert none[inner].all()
    assert (shown.labels[(shown.image == 200).all(2)] == 1).mean() > 0.98


def test_what_fills_a_mask_can_be_said() -> None:
    sample = Sample(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.uint8))
    extra = [GEOMETRIC[0] | {"init_args": GEOMETRIC[0]["init_args"] | {"fill_mask": 3}}]
    shown = ScaleCropAugmentation(scale=(1, 1), extra=extra)(sample, Preprocessing((64, 64)), seeded(0))
    assert set(np.unique(shown.labels)) == {1, 3}


def test_mirror_images_of_albumentations_keep_image_and_mask_together() -> None:
    extra = [a("HorizontalFlip", p=0.5), a("VerticalFlip", p=0.5), a("RandomRotate90", p=0.5)]
    augmentation = ScaleCropAugmentation((32, 32), scale=(0.5, 2), extra=extra)
    for seed in range(20):
        assert_together(augmentation(ramp(30, 30, seed % 2), Preprocessing((32, 32), **PADDED), seeded(seed)))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (a("NoSuchThing"), "albumentations.NoSuchThing"),
        ({"class_path": "no.such.module.Thing"}, "no.such.module.Thing"),
        (a("Compose"), "not a transform"),
        ({}, "None"),
    ],
)
def test_transforms_that_are_none_are_named(
    extra: dict[str, Any], said: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=r"augmentation\.extra") as caught:
        ScaleCropAugmentation(extra=[extra])
    assert_one_sentence(caught.value, said)


@pytest.mark.parametrize(
    ("transform", "made"),
    [(a("CenterCrop", height=40, width=33), "[40, 33, 3] of uint8"), (a("Normalize"), "[48, 48, 3] of float32")],
    ids=["size", "type"],
)
def test_transforms_that_change_size_or_type_are_refused(
    transform: dict[str, Any], made: str, assert_one_sentence: Callable[..., None]
) -> None:
    augmentation = ScaleCropAugmentation(extra=[transform])
    with pytest.raises(DataError, match=r"augmentation\.extra") as caught:
        augmentation(noise(50, 50), Preprocessing((48, 48)), seeded(0))
    assert_one_sentence(caught.value, "[48, 48, 3] of uint8", made)


# seeds and arguments


def test_a_seed_repeats_and_another_does_not() -> None:
    extra = [a("Affine", rotate=(-20, 20), p=0.5), a("GaussNoise", p=0.5)]
    augmentation = ScaleCropAugmentation((40, 50), cat_max_ratio=0.3, photometric=True, extra=extra)
    sample, preprocessing = noise(60, 70), Preprocessing((50, 60))
    first = [augmentation(sample, preprocessing, seeded(seed)) for seed in range(10)]
    again = [augmentation(sample, preprocessing, seeded(seed)) for seed in reversed(range(10))][::-1]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.image, other.image) and np.array_equal(one.labels, other.labels)
    assert len({one.image.tobytes() for one in first}) == 10


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"crop": (31, 64)}, "crop"),
        ({"scale": (0, 1)}, "scale"),
        ({"scale": (2, 1)}, "scale"),
        ({"cat_max_ratio": 0}, "cat_max_ratio"),
        ({"cat_max_ratio": 1.1}, "cat_max_ratio"),
        ({"flip": -0.1}, "flip"),
        ({"flip": 1.5}, "flip"),
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(
    arguments: dict[str, Any], said: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        ScaleCropAugmentation(**arguments)
    assert_one_sentence(caught.value, next(iter(arguments.values())))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (500, 3)], ids=str)
@FITS
def test_images_of_a_few_pixels_are_augmented(fit: Fit, size: tuple[int, int]) -> None:
    for seed in range(20):
        shown = ScaleCropAugmentation((32, 40))(noise(*size), Preprocessing((40, 40), fit), seeded(seed))
        assert shown.image.shape == (32, 40, 3)
        assert (shown.labels != 255).any()
