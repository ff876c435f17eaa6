"""Crops, shifts, flips and random erasing, against OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from litmobile.errors import DataError, UserError
from litmobile.tasks.classification import (
    ClassificationSplit,
    CropAugmentation,
    Policy,
    RandAugment,
    Resize,
    ShiftAugmentation,
    TrivialAugment,
)
from litmobile.tasks.classification.transforms import Augmentation, erase_randomly
from litmobile.tasks.data.sampling import SampleKey
from litmobile.tasks.data.split import SplitDataset
from litmobile.tasks.preprocessing import Preprocessing

Image = NDArray[np.uint8]
SIZES = [(60, 80), (81, 33), (300, 200), (7, 5), (1, 1)]
EVERY_SIZE = pytest.mark.parametrize("size", SIZES, ids=str)
NOISE = {"class_path": "albumentations.GaussNoise"}
VIEWS = pytest.mark.parametrize("view", [CropAugmentation, ShiftAugmentation], ids=lambda view: view.__name__)
FILL = (10, 120, 200)


def seeded(seed: int) -> Generator:
    return np.random.default_rng(seed)


def noise(height: int, width: int) -> Image:
    return seeded(0).integers(256, size=(height, width, 3), dtype=np.uint8)


# no augmentation


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@EVERY_SIZE
def test_resize_equals_validation(fit: Literal["stretch", "pad", "crop"], size: tuple[int, int]) -> None:
    image, preprocessing = noise(*size), Preprocessing((48, 40), fit)
    assert np.array_equal(Resize().augment(image, preprocessing, seeded(0)), preprocessing.apply(image))


# crops


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.5, 0.6), (0.2, 0.2)], ids=str)
@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (0.9, 1.0), (0.5, 2.0)], ids=str)
@pytest.mark.parametrize("size", [(100, 120), (240, 200)], ids=str)
def test_windows_fit_image_scale_and_ratio(
    scale: tuple[float, float], ratio: tuple[float, float], size: tuple[int, int]
) -> None:
    augmentation = CropAugmentation(scale, ratio)
    for seed in range(100):
        top, left, height, width = augmentation.draw_window(*size, seeded(seed))
        assert 0 <= top <= size[0] - height and 0 <= left <= size[1] - width
        # sides are rounded to whole pixels
        assert (height - 0.5) * (width - 0.5) <= scale[1] * size[0] * size[1]
        assert (height + 0.5) * (width + 0.5) >= scale[0] * size[0] * size[1]
        assert (width - 0.5) / (height + 0.5) <= ratio[1]
        assert (width + 0.5) / (height - 0.5) >= ratio[0]


def test_windows_cover_edges_scales_and_ratios() -> None:
    windows = np.array([CropAugmentation().draw_window(100, 100, seeded(seed)) for seed in range(2000)])
    top, left, height, width = windows.T
    for beginning, length in ((top, height), (left, width)):
        assert beginning.min() == 0 and (beginning + length).max() == 100
    areas, ratios = height * width / 10_000, np.log(width / height)
    assert areas.min() < 0.1 and areas.max() > 0.9
    assert ratios.min() < -0.26 and ratios.max() > 0.26
    assert abs(ratios.mean()) < 0.02, "wide and tall windows are not equally frequent"


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((10, 1000), (3 / 4, 4 / 3), (0, 493, 10, 13)),
        ((1000, 10), (3 / 4, 4 / 3), (493, 0, 13, 10)),
        ((100, 100), (2.0, 4.0), (25, 0, 50, 100)),
        ((1, 5), (0.1, 0.2), (0, 2, 1, 1)),
        ((5, 1), (5.0, 9.0), (2, 0, 1, 1)),
        ((1, 1), (3 / 4, 4 / 3), (0, 0, 1, 1)),
    ],
    ids=str,
)
def test_the_centre_is_taken_if_no_window_fits(
    size: tuple[int, int], ratio: tuple[float, float], expected: tuple[int, ...]
) -> None:
    augmentation = CropAugmentation(scale=(1.0, 1.0), ratio=ratio)
    for seed in range(20):
        assert augmentation.draw_window(*size, seeded(seed)) == expected


@pytest.mark.parametrize("inputs", [(32, 32), (40, 56)], ids=str)
@EVERY_SIZE
def test_the_input_is_the_resized_window(size: tuple[int, int], inputs: tuple[int, int]) -> None:
    image, augmentation = noise(*size), CropAugmentation(flip=0)
    for seed in range(30):
        top, left, height, width = augmentation.draw_window(*size, seeded(seed))
        part = image[top : top + height, left : left + width]
        # bilinear interpolation reads 2×2 pixels, which would skip some of a window more than twice as large
        large = height > 2 * inputs[0] or width > 2 * inputs[1]
        expected = cv2.resize(part, inputs[::-1], interpolation=cv2.INTER_AREA if large else cv2.INTER_LINEAR)
        assert np.array_equal(augmentation.augment(image, Preprocessing(inputs), seeded(seed)), expected)


# shifts


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_shifts_cover_their_range_and_fill_the_border(pixels: int) -> None:
    preprocessing = Preprocessing((36, 40), mean=(0.2, 0.4, 0.6))
    image, augmentation = noise(36, 40), ShiftAugmentation(pixels, flip=0)
    canvas = np.empty((36 + 2 * pixels, 40 + 2 * pixels, 3), np.uint8)
    canvas[:] = (51, 102, 153)
    canvas[pixels : pixels + 36, pixels : pixels + 40] = image
    steps = range(2 * pixels + 1)
    possible = {canvas[y : y + 36, x : x + 40].tobytes() for y in steps for x in steps}
    found = {
        augmentation.augment(image, preprocessing, seeded(seed)).tobytes()
        for seed in range(60 * len(possible) // 4 + 1)
    }
    assert found == possible


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop"])
@EVERY_SIZE
def test_a_shift_of_zero_equals_validation(fit: Literal["stretch", "pad", "crop"], size: tuple[int, int]) -> None:
    image, preprocessing = noise(*size), Preprocessing((48, 40), fit)
    found = ShiftAugmentation(pixels=0, flip=0).augment(image, preprocessing, seeded(0))
    assert np.array_equal(found, preprocessing.apply(image))


# after both


class Recorder(Policy):
    """Records its arguments and returns white images."""

    def __init__(self) -> None:
        self.seen: list[tuple[Image, tuple[int, int, int]]] = []

    def __call__(self, image: Image, fill: tuple[int, int, int], random: Generator) -> Image:
        self.seen.append((image, fill))
        return np.full_like(image, 255)


@VIEWS
def test_flips_have_the_given_probability(view: Callable[..., Augmentation]) -> None:
    image, preprocessing = noise(50, 60), Preprocessing((32, 40))
    flipped = 0
    for seed in range(100):
        plain = view(flip=0).augment(image, preprocessing, seeded(seed))
        mirrored = view(flip=1).augment(image, preprocessing, seeded(seed))
        either = view(flip=0.5).augment(image, preprocessing, seeded(seed))
        assert np.array_equal(plain[:, ::-1], mirrored)
        flipped += np.array_equal(either, mirrored)
        assert np.array_equal(either, mirrored) or np.array_equal(either, plain)
    assert 30 < flipped < 70


@VIEWS
def test_a_policy_gets_flipped_image_and_mean_colour(view: Callable[..., Augmentation]) -> None:
    image, preprocessing = noise(50, 60), Preprocessing((32, 40), mean=(0.2, 0.4, 0.6))
    recorder = Recorder()
    for seed in range(10):
        found = view(flip=1, policy=recorder).augment(image, preprocessing, seeded(seed))
        assert (found == 255).all()
        seen, fill = recorder.seen.pop()
        assert np.array_equal(seen, view(flip=1).augment(image, preprocessing, seeded(seed)))
        assert seen.flags.c_contiguous
        assert fill == (51, 102, 153)


@VIEWS
def test_erasing_is_last_and_fills_with_the_mean_colour(view: Callable[..., Augmentation]) -> None:
    preprocessing = Preprocessing((32, 40), mean=(0.2, 0.4, 0.6))
    found = view(policy=Recorder(), random_erasing=1).augment(noise(50, 60), preprocessing, seeded(0))
    hidden = (found == (51, 102, 153)).all(axis=2)
    assert hidden.any() and (found[~hidden] == 255).all() and not hidden.all()


@VIEWS
@EVERY_SIZE
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"policy": TrivialAugment()},
        {"policy": RandAugment(), "random_erasing": 0.5},
        {"flip": 0, "random_erasing": 1},
        {"extra": [NOISE]},
    ],
    ids=["plain", "trivial", "rand", "erasing", "extra"],
)
def test_a_seed_repeats_a_valid_input(
    view: Callable[..., Augmentation], size: tuple[int, int], options: dict[str, Any]
) -> None:
    image, preprocessing = noise(*size), Preprocessing((48, 40))
    before, augmentation, other = image.copy(), view(**options), view(**options)
    for seed in range(20):
        found = augmentation.augment(image, preprocessing, seeded(seed))
        assert np.array_equal(found, other.augment(image, preprocessing, seeded(seed)))
        assert found.shape == (48, 40, 3) and found.dtype == np.uint8 and found.flags.c_contiguous
        assert np.array_equal(image, before)


@VIEWS
@pytest.mark.parametrize(
    "options",
    [{}, {"flip": 0}, {"policy": TrivialAugment()}, {"random_erasing": 1}, {"extra": [NOISE]}],
    ids=" ".join,
)
def test_seeds_differ(view: Callable[..., Augmentation], options: dict[str, Any]) -> None:
    image, preprocessing = noise(60, 60), Preprocessing((48, 40))
    assert len({view(**options).augment(image, preprocessing, seeded(seed)).tobytes() for seed in range(60)}) > 30


# erasing


@pytest.mark.parametrize("size", [(64, 64), (60, 90), (33, 32)], ids=str)
def test_erasing_covers_a_rectangle_of_the_given_size(size: tuple[int, int]) -> None:
    image, shares, ratios = np.full((*size, 3), 255, np.uint8), [], []
    touched = np.zeros(size, bool)
    for seed in range(300):
        hidden = (erase_randomly(image, 1.0, FILL, seeded(seed)) == FILL).all(axis=2)
        rows, columns = np.flatnonzero(hidden.any(1)), np.flatnonzero(hidden.any(0))
        height, width = rows[-1] + 1 - rows[0], columns[-1] + 1 - columns[0]
        assert hidden.sum() == height * width
        # sides are rounded to whole pixels
        assert (height - 0.5) * (width - 0.5) <= 0.33 * hidden.size
        assert (height + 0.5) * (width + 0.5) >= 0.02 * hidden.size
        assert (width - 0.5) / (height + 0.5) <= 3.3
        assert (width + 0.5) / (height - 0.5) >= 0.3
        shares.append(hidden.mean())
        ratios.append(width / height)
        touched |= hidden
    for corner in (touched[:8, :8], touched[:8, -8:], touched[-8:, :8], touched[-8:, -8:]):
        assert corner.any()
    assert touched[0].any() and touched[-1].any() and touched[:, 0].any() and touched[:, -1].any()
    assert min(shares) < 0.04 and max(shares) > 0.3
    assert min(ratios) < 0.4 and max(ratios) > 2.5


def test_erasing_changes_neither_the_rest_nor_the_source() -> None:
    image = noise(40, 50)
    before = image.copy()
    found = erase_randomly(image, 1.0, FILL, seeded(0))
    kept = (found != FILL).any(axis=2)
    assert np.array_equal(found[kept], image[kept]) and 0.6 < kept.mean() < 1
    assert np.array_equal(image, before)


@pytest.mark.parametrize(("probability", "least", "most"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_erasing_has_the_given_probability(probability: float, least: int, most: int) -> None:
    image = noise(40, 50)
    count = sum(
        not np.array_equal(erase_randomly(image, probability, FILL, seeded(seed)), image) for seed in range(200)
    )
    assert least <= count <= most


def test_nothing_is_erased_if_no_rectangle_fits() -> None:
    image = noise(1, 1000)  # the narrowest rectangle is two pixels high
    assert all(np.array_equal(erase_randomly(image, 1.0, FILL, seeded(seed)), image) for seed in range(50))


# transforms of albumentations


@VIEWS
def test_albumentations_transforms_run_last(view: Callable[..., Augmentation]) -> None:
    preprocessing = Preprocessing((32, 40))
    extra = [{"class_path": "albumentations.VerticalFlip", "init_args": {"p": 1.0}}]
    for seed in range(10):
        plain = view(random_erasing=1).augment(noise(50, 60), preprocessing, seeded(seed))
        found = view(random_erasing=1, extra=extra).augment(noise(50, 60), preprocessing, seeded(seed))
        assert np.array_equal(found, plain[::-1])


def test_albumentations_draw_the_same_in_any_worker(tmp_path: Path) -> None:
    pixels = np.repeat(noise(40, 50)[None], 6, axis=0)
    split = ClassificationSplit(
        source=tmp_path,
        folder=tmp_path,
        names=np.arange(6).astype(str),
        classes=("cat", "dog"),
        labels=np.zeros(6, dtype=np.int64),
        pixels=pixels,
    )
    dataset = SplitDataset(split, Preprocessing((32, 40)), CropAugmentation(extra=[NOISE]))
    keys: Any = [SampleKey(index, seed=index % 3) for index in range(6)]
    samples = [
        [sample.image.numpy() for sample, _ in DataLoader(dataset, sampler=keys, batch_size=None, num_workers=workers)]
        for workers in (0, 1, 2)
    ]
    for images in samples:
        assert np.array_equal(images, samples[0])
    assert np.array_equal(samples[0][:3], samples[0][3:]), "equal seeds give equal samples"
    assert len({image.tobytes() for image in samples[0]}) == 3


@VIEWS
@pytest.mark.parametrize("path", ["albumentations.Blurr", "nowhere.Blur", "torch.nn.ReLU", "albumentations.Compose"])
def test_unknown_albumentations_transforms_are_named(
    view: Callable[..., Augmentation], path: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(UserError, match=r"augmentation\.extra") as caught:
        view(extra=[{"class_path": path}])
    assert_one_sentence(caught.value, path)


@VIEWS
def test_albumentations_that_change_the_size_are_refused(
    view: Callable[..., Augmentation], assert_one_sentence: Callable[..., None]
) -> None:
    augmentation = view(extra=[{"class_path": "albumentations.RandomCrop", "init_args": {"height": 20, "width": 16}}])
    with pytest.raises(DataError, match=r"augmentation\.extra") as caught:
        augmentation.augment(noise(50, 60), Preprocessing((32, 40)), seeded(0))
    assert_one_sentence(caught.value, "[32, 40, 3]", "[20, 16, 3]")


# constructor values


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (lambda: CropAugmentation(scale=(0.0, 1.0)), "scale", "0.0"),
        (lambda: CropAugmentation(scale=(0.5, 0.4)), "scale", "0.4"),
        (lambda: CropAugmentation(scale=(0.5, 1.5)), "scale", "1.5"),
        (lambda: CropAugmentation(ratio=(0.0, 1.0)), "ratio", "0.0"),
        (lambda: CropAugmentation(ratio=(2.0, 1.0)), "ratio", "2.0"),
        (lambda: ShiftAugmentation(pixels=-1), "pixels", "-1"),
        *((lambda view=view: view(flip=1.5), "flip", "1.5") for view in (CropAugmentation, ShiftAugmentation)),
        *((lambda view=view: view(flip=-0.1), "flip", "-0.1") for view in (CropAugmentation, ShiftAugmentation)),
        *(
            (lambda view=view: view(random_erasing=2), "random_erasing", "2")
            for view in (CropAugmentation, ShiftAugmentation)
        ),
        *(
            (lambda view=view: view(random_erasing=-1), "random_erasing", "-1")
            for view in (CropAugmentation, ShiftAugmentation)
        ),
    ],
)
def test_invalid_values_are_named_in_one_sentence(
    make: Callable[[], Augmentation], key: str, value: str, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=key) as caught:
        make()
    assert_one_sentence(caught.value, value)
