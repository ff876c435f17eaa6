"""Images and masks get the same scale, crop, flip and padding."""

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
STEP = 8  # of brightness from pixel to pixel, which encodes positions to an eighth of a pixel
BLUE = 100  # of all images; padding has another blue
PADDED = {"mean": (0.2, 0.4, 0.8)}
FILL = (51, 102, 204)


def make_generator(seed: int) -> Generator:
    return np.random.default_rng(seed)


def ramp(height: int, width: int, axis: int) -> Sample:
    """Returns an image and a mask that encode the row (``axis`` 0) or column (1) of each pixel, the image in red."""
    place = np.indices((height, width))[axis]
    image = np.stack([place * STEP, place * 0, place * 0 + BLUE], axis=2)
    return Sample(image.astype(np.uint8), place.astype(np.uint8))


def noise(height: int, width: int, classes: int = 5) -> Sample:
    random = make_generator(0)
    image = random.integers(256, size=(height, width, 3), dtype=np.uint8)
    return Sample(image, random.integers(classes, size=(height, width), dtype=np.uint8))


def assert_together(shown: Sample) -> None:
    """Assert that image and mask encode the same positions to half a pixel, and that padding is ignored."""
    beyond = shown.image[:, :, 2] != BLUE
    assert np.array_equal(beyond, shown.labels == 255)
    assert (shown.image[beyond] == FILL).all()
    distance = shown.image[:, :, 0] / STEP - shown.labels
    # half a pixel, and rounding of the image to whole steps
    assert np.abs(distance[~beyond]).max() <= 0.5 + 1 / STEP


# validation


@FITS
@pytest.mark.parametrize("size", [(60, 80), (81, 33), (300, 200), (7, 5), (1, 1), (48, 40), (96, 80)], ids=str)
def test_validation_applies_the_preprocessing(fit: Fit, size: tuple[int, int]) -> None:
    sample, preprocessing = noise(*size), Preprocessing((48, 40), fit, **PADDED)
    shown = Resize()(sample, preprocessing, make_generator(0))
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
def test_masks_match_images_in_validation(fit: Fit, axis: int, size: tuple[int, int]) -> None:
    for inputs in ((32, 32), (97, 64), (40, 133)):
        assert_together(Resize()(ramp(*size, axis), Preprocessing(inputs, fit, **PADDED), make_generator(0)))


# scale, crop, flip


@FITS
@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
@pytest.mark.parametrize("size", [(30, 30), (31, 17), (12, 29)], ids=str)
@pytest.mark.parametrize("scale", [(0.5, 2.0), (0.1, 0.6), (2.0, 5.0), (1.0, 1.0)], ids=str)
def test_masks_match_images_at_every_scale_crop_and_flip(
    fit: Fit, axis: int, size: tuple[int, int], scale: tuple[float, float]
) -> None:
    sample = ramp(*size, axis)
    for crop in (None, (32, 32), (40, 90), (75, 32)):
        augmentation = ScaleCropAugmentation(crop, scale)
        preprocessing = Preprocessing((33, 50), fit, **PADDED)
        for seed in range(8):
            shown = augmentation(sample, preprocessing, make_generator(seed))
            assert shown.labels.shape == shown.image.shape[:2] == (crop or (33, 50))
            assert shown.image.dtype == shown.labels.dtype == np.uint8
            assert_together(shown)


def extents(
    augmentation: Augmentation, size: tuple[int, int], preprocessing: Preprocessing, draws: int
) -> NDArray[Any]:
    """Returns the first and last row and column of the image in every crop, ``[draws, 4]``."""
    sample = ramp(*size, 0)
    found = []
    for seed in range(draws):
        there = augmentation(sample, preprocessing, make_generator(seed)).labels != 255
        rows, columns = np.flatnonzero(there.any(1)), np.flatnonzero(there.any(0))
        found.append((rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    return np.array(found)


def assert_uniform(values: NDArray[Any], low: float, high: float) -> None:
    """Assert that ``values`` are uniform: quarters are equal, and both ends are reached."""
    quarters = np.histogram(values, bins=4, range=(low, high))[0] / len(values)
    assert quarters.sum() == 1
    assert np.abs(quarters - 0.25).max() < 0.05, quarters
    assert values.min() < low + (high - low) / 20 and values.max() > high - (high - low) / 20


def test_scales_and_positions_in_large_crops_are_uniform() -> None:
    top, bottom, left, right = extents(ScaleCropAugmentation((90, 90)), (32, 32), Preprocessing((32, 32)), 1500).T
    assert np.array_equal(bottom - top, right - left), "both sides have the same scale"
    assert_uniform((bottom - top) / 32, 0.5, 2)
    assert_uniform(top / (90 - (bottom - top)), 0, 1)
    assert_uniform(left / (90 - (right - left)), 0, 1)
    assert abs(np.corrcoef(top / (90 - (bottom - top)), left / (90 - (right - left)))[0, 1]) < 0.1


def test_scales_are_relative_to_the_network_input() -> None:
    once = ScaleCropAugmentation((100, 100), scale=(1.5, 1.5))
    (stretched,) = extents(once, (30, 20), Preprocessing((40, 60), "stretch"), 1)
    assert (stretched[1] - stretched[0], stretched[3] - stretched[2]) == (60, 90)
    (padded,) = extents(once, (30, 20), Preprocessing((40, 60), "pad"), 1)
    assert (padded[1] - padded[0], padded[3] - padded[2]) == (60, 40)


def test_crops_are_uniform_over_large_images() -> None:
    augmentation, preprocessing = ScaleCropAugmentation((32, 32), scale=(1, 1), flip=0), Preprocessing((96, 80))
    sample = Sample(np.zeros((96, 80, 3), np.uint8), np.indices((96, 80))[0].astype(np.uint8))
    across = Sample(sample.image, np.indices((96, 80))[1].astype(np.uint8))
    top = np.array([augmentation(sample, preprocessing, make_generator(seed)).labels[0, 0] for seed in range(1500)])
    left = np.array([augmentation(across, preprocessing, make_generator(seed)).labels[0, 0] for seed in range(1500)])
    assert (top.min(), top.max(), left.min(), left.max()) == (0, 64, 0, 48)
    assert_uniform(top, 0, 64)
    assert_uniform(left, 0, 48)
    assert abs(np.corrcoef(top, left)[0, 1]) < 0.1


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_a_crop_shows_its_share_of_the_scaled_image(scale: float) -> None:
    augmentation = ScaleCropAugmentation((32, 40), scale=(scale, scale))
    for axis, side in ((0, 32), (1, 40)):
        shown = augmentation(ramp(200, 240, axis), Preprocessing((200, 240)), make_generator(1)).labels.astype(int)
        assert abs(shown.max() - shown.min() + 1 - side / scale) <= 1


@pytest.mark.parametrize("flip", [0, 0.3, 0.5, 1])
def test_images_are_flipped_with_the_given_probability(flip: float) -> None:
    augmentation, preprocessing = ScaleCropAugmentation(scale=(1, 1), flip=flip), Preprocessing((32, 32))
    sample = noise(32, 32)
    mirrored = 0
    for seed in range(600):
        shown = augmentation(sample, preprocessing, make_generator(seed))
        mirrored += int(shown.labels[0, :5].tolist() == sample.labels[0, :-6:-1].tolist())
        if flip in (0, 1):
            turn = slice(None, None, -1 if flip else 1)
            assert np.array_equal(shown.image, sample.image[:, turn])
            assert np.array_equal(shown.labels, sample.labels[:, turn])
    assert abs(mirrored / 600 - flip) < 0.06


def test_scale_1_only_pads_a_whole_image() -> None:
    """At scale 1, a crop that is larger than the image only pads it."""
    sample = noise(40, 36)
    augmentation = ScaleCropAugmentation((60, 50), scale=(1, 1), flip=0)
    shown = augmentation(sample, Preprocessing((40, 36), **PADDED), make_generator(3))
    there = np.argwhere(shown.labels != 255)
    top, left = there.min(0)
    part = slice(top, top + 40), slice(left, left + 36)
    assert np.array_equal(shown.labels[part], sample.labels)
    assert np.array_equal(shown.image[part], sample.image)
    assert (shown.labels == 255).sum() == 60 * 50 - 40 * 36


def test_samples_are_not_changed_in_place() -> None:
    sample = noise(50, 60)
    before = Sample(sample.image.copy(), sample.labels.copy())
    augmentation = ScaleCropAugmentation((40, 40), photometric=True, extra=[transform("Rotate", p=1)])
    for seed in range(5):
        augmentation(sample, Preprocessing((50, 60)), make_generator(seed))
    assert np.array_equal(sample.image, before.image) and np.array_equal(sample.labels, before.labels)


# cat_max_ratio


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
def test_the_largest_share_is_of_labelled_pixels(labels: list[list[int]], share: float) -> None:
    array = np.array(labels, np.uint8)
    assert largest_share(array) == pytest.approx(share)
    assert largest_share(np.repeat(array, 3, axis=1)[:, 1::3]) == pytest.approx(share), "a view of another array"


def shares(most: float, labels: NDArray[np.uint8], draws: int = 400) -> NDArray[np.float64]:
    augmentation = ScaleCropAugmentation((32, 32), scale=(1, 1), cat_max_ratio=most)
    sample = Sample(np.zeros((*labels.shape, 3), np.uint8), labels)
    shown = (augmentation(sample, Preprocessing(labels.shape), make_generator(seed)).labels for seed in range(draws))  # pyright: ignore[reportArgumentType]
    return np.array([largest_share(crop) for crop in shown])


def test_crops_full_of_one_class_are_drawn_again() -> None:
    labels = np.zeros((32, 132), np.uint8)
    labels[:, -20:] = 1  # 12 of the 101 crops, at the right, have a quarter of it or more
    assert TRIALS == 10
    plain, better = shares(1, labels, 1000), shares(0.75, labels, 1000)
    assert (plain <= 0.75).mean() == pytest.approx(12 / 101, abs=0.03)
    assert (better <= 0.75).mean() == pytest.approx(1 - (1 - 12 / 101) ** TRIALS, abs=0.05)


def test_ignored_pixels_do_not_count_in_cat_max_ratio() -> None:
    labels = np.full((64, 64), 255, np.uint8)
    labels[::2, ::2] = 0
    labels[1::2, ::2] = 1
    assert np.array_equal(shares(0.6, labels, 50), shares(1, labels, 50)), "no crop is drawn again"


@pytest.mark.parametrize("value", [0, 255])
def test_images_of_one_class_or_none_are_accepted(value: int) -> None:
    sample = Sample(noise(64, 64).image, np.full((64, 64), value, np.uint8))
    augmentation = ScaleCropAugmentation((32, 32), scale=(1, 2), cat_max_ratio=0.5)
    shown = augmentation(sample, Preprocessing((64, 64)), make_generator(0))
    assert (shown.labels == value).all()


# colours and albumentations


def transform(name: str, **init_args: Any) -> dict[str, Any]:
    return {"class_path": f"albumentations.{name}", "init_args": init_args}


@pytest.mark.parametrize(
    "arguments",
    [{"photometric": True}, {"extra": [transform("GaussianBlur", p=1)]}, {"extra": [transform("ToGray", p=1)]}],
    ids=["photometric", "blur", "grey"],
)
def test_colour_transforms_keep_labels(arguments: dict[str, Any]) -> None:
    sample, preprocessing = noise(60, 50), Preprocessing((48, 64))
    changed = 0
    for seed in range(20):
        plain = ScaleCropAugmentation()(sample, preprocessing, make_generator(seed))
        shown = ScaleCropAugmentation(**arguments)(sample, preprocessing, make_generator(seed))
        assert np.array_equal(shown.labels, plain.labels)
        changed += not np.array_equal(shown.image, plain.image)
    assert changed >= 10


GEOMETRIC = [
    transform("Rotate", limit=(30, 30), border_mode=cv2.BORDER_CONSTANT, p=1),
    transform("SafeRotate", limit=(30, 30), border_mode=cv2.BORDER_CONSTANT, p=1),
    transform("Affine", rotate=(20, 20), translate_percent=(0.2, 0.2), p=1),
    transform("ShiftScaleRotate", shift_limit=(0.2, 0.2), border_mode=cv2.BORDER_CONSTANT, p=1),
    transform("Perspective", scale=(0.2, 0.2), fit_output=True, p=1),
    transform("CoarseDropout", p=1),
]


@pytest.mark.filterwarnings("ignore:ShiftScaleRotate")  # albumentations recommends Affine
@pytest.mark.parametrize("extra", GEOMETRIC, ids=lambda config: config["class_path"].rpartition(".")[2])
def test_pixels_from_outside_the_image_are_ignored(extra: dict[str, Any]) -> None:
    sample = Sample(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.uint8))
    shown = ScaleCropAugmentation(scale=(1, 1), extra=[extra])(sample, Preprocessing((64, 64)), make_generator(0))
    black, none = (shown.image == 0).all(2), shown.labels == 255
    assert set(np.unique(shown.labels)) == {1, 255}
    assert none.sum() > 50
    inner = (
        cv2.erode(black.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    )  # interpolation blurs the border of the image
    assert none[inner].all()
    assert (shown.labels[(shown.image == 200).all(2)] == 1).mean() > 0.98


def test_the_fill_value_of_masks_can_be_given() -> None:
    sample = Sample(np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.uint8))
    extra = [GEOMETRIC[0] | {"init_args": GEOMETRIC[0]["init_args"] | {"fill_mask": 3}}]
    shown = ScaleCropAugmentation(scale=(1, 1), extra=extra)(sample, Preprocessing((64, 64)), make_generator(0))
    assert set(np.unique(shown.labels)) == {1, 3}


def test_flips_of_albumentations_keep_masks_on_images() -> None:
    extra = [transform("HorizontalFlip", p=0.5), transform("VerticalFlip", p=0.5), transform("RandomRotate90", p=0.5)]
    augmentation = ScaleCropAugmentation((32, 32), scale=(0.5, 2), extra=extra)
    for seed in range(20):
        assert_together(augmentation(ramp(30, 30, seed % 2), Preprocessing((32, 32), **PADDED), make_generator(seed)))


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        (transform("NoSuchThing"), "albumentations.NoSuchThing"),
        ({"class_path": "no.such.module.Thing"}, "no.such.module.Thing"),
        (transform("Compose"), "not a class derived from BasicTransform"),
        ({"class_path": "os.system", "init_args": {"command": "x"}}, "not a class derived from BasicTransform"),
        ({}, "needs a class_path"),
    ],
)
def test_unknown_transforms_are_named(
    extra: dict[str, Any], name: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=r"augmentation\.extra") as caught:
        ScaleCropAugmentation(extra=[extra])
    assert_one_sentence(caught.value, name)


@pytest.mark.parametrize(
    ("config", "result"),
    [
        (transform("CenterCrop", height=40, width=33), "[40, 33, 3] of uint8"),
        (transform("Normalize"), "[48, 48, 3] of float32"),
    ],
    ids=["size", "type"],
)
def test_transforms_that_change_size_or_type_are_refused(
    config: dict[str, Any], result: str, assert_one_sentence: Callable[..., None]
) -> None:
    augmentation = ScaleCropAugmentation(extra=[config])
    with pytest.raises(DataError, match=r"augmentation\.extra") as caught:
        augmentation(noise(50, 50), Preprocessing((48, 48)), make_generator(0))
    assert_one_sentence(caught.value, "[48, 48, 3] of uint8", result)


@pytest.mark.parametrize("config", [transform("RandomCrop", height=90, width=90), transform("Lambda", image="text")])
def test_transforms_that_fail_are_named(config: dict[str, Any], assert_one_sentence: Callable[..., None]) -> None:
    augmentation = ScaleCropAugmentation(extra=[config])
    with pytest.raises(DataError) as caught:
        augmentation(noise(50, 50), Preprocessing((48, 48)), make_generator(0))
    assert_one_sentence(caught.value, f"augmentation.extra ({config['class_path'].rpartition('.')[2]}) fails")


# seeds and arguments


def test_augmentations_depend_on_the_seed() -> None:
    extra = [transform("Affine", rotate=(-20, 20), p=0.5), transform("GaussNoise", p=0.5)]
    augmentation = ScaleCropAugmentation((40, 50), cat_max_ratio=0.3, photometric=True, extra=extra)
    sample, preprocessing = noise(60, 70), Preprocessing((50, 60))
    first = [augmentation(sample, preprocessing, make_generator(seed)) for seed in range(10)]
    again = [augmentation(sample, preprocessing, make_generator(seed)) for seed in reversed(range(10))][::-1]
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.image, other.image) and np.array_equal(one.labels, other.labels)
    assert len({one.image.tobytes() for one in first}) == 10


@pytest.mark.parametrize(
    ("arguments", "name"),
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
    arguments: dict[str, Any], name: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        ScaleCropAugmentation(**arguments)
    assert_one_sentence(caught.value, next(iter(arguments.values())))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (500, 3)], ids=str)
@FITS
def test_images_of_a_few_pixels_are_augmented(fit: Fit, size: tuple[int, int]) -> None:
    for seed in range(20):
        shown = ScaleCropAugmentation((32, 40))(noise(*size), Preprocessing((40, 40), fit), make_generator(seed))
        assert shown.image.shape == (32, 40, 3)
        assert (shown.labels != 255).any()
