"""Policies: every operation equals torchvision's, each is drawn, and a seed repeats the result."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from litmobile.tasks.classification import Policy, RandAugment, TrivialAugment
from litmobile.tasks.classification import operations as op
from litmobile.tasks.classification.policies import MODERATE, WIDE, Choice
from litmobile.tools.cli import main

Image = NDArray[np.uint8]
FILL = (10, 120, 200)
BINS = 31
POLICIES = [RandAugment(), RandAugment(operations=1, magnitude=30), RandAugment(3, 4, bins=5), TrivialAugment()]
EVERY_POLICY = pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: f"{type(policy).__name__}{vars(policy)}")


def photograph(height: int, width: int) -> Image:
    """Large blots with a little noise and less than full contrast."""
    random = np.random.default_rng(0)
    blots = cv2.resize(random.integers(10, 240, (5, 5, 3)).astype(np.float32), (width, height))
    return (blots + random.integers(-9, 10, blots.shape)).clip(0, 255).astype(np.uint8)


IMAGES = {
    "photograph": photograph(64, 96),
    "odd": photograph(37, 51),
    "noise": np.random.default_rng(1).integers(256, size=(40, 30, 3), dtype=np.uint8),
    "white": np.full((20, 24, 3), 255, np.uint8),
    "one colour": np.full((9, 7, 3), (3, 77, 201), np.uint8),
    "1x1": photograph(1, 1),
    "1x9": photograph(1, 9),
    "2x5": photograph(2, 5),
    "3x3": photograph(3, 3),
}


# torchvision's result for [3, H, W] and a magnitude


def affine(image: torch.Tensor, translate: list[int], shear: list[float], center: list[float] | None) -> torch.Tensor:
    return F.affine(image, 0.0, translate, 1.0, shear, fill=list(FILL), center=center)


def slope(magnitude: float) -> float:
    return math.degrees(math.atan(magnitude))


Reference = Callable[[torch.Tensor, float], torch.Tensor]
GEOMETRIC: dict[op.Operation, Reference] = {
    op.shear_x: lambda image, m: affine(image, [0, 0], [slope(m), 0.0], [0, 0]),
    op.shear_y: lambda image, m: affine(image, [0, 0], [0.0, slope(m)], [0, 0]),
    op.translate_x: lambda image, m: affine(image, [int(m), 0], [0.0, 0.0], None),
    op.translate_y: lambda image, m: affine(image, [0, int(m)], [0.0, 0.0], None),
    op.translate_x_by_share: lambda image, m: affine(image, [int(m * image.shape[2]), 0], [0.0, 0.0], None),
    op.translate_y_by_share: lambda image, m: affine(image, [0, int(m * image.shape[1])], [0.0, 0.0], None),
    op.rotate: lambda image, m: F.rotate(image, m, fill=list(FILL)),
}
COLOURS: dict[op.Operation, Reference] = {
    op.identity: lambda image, _: image,
    op.brightness: lambda image, m: F.adjust_brightness(image, 1 + m),
    op.contrast: lambda image, m: F.adjust_contrast(image, 1 + m),
    op.colour: lambda image, m: F.adjust_saturation(image, 1 + m),
    op.sharpness: lambda image, m: F.adjust_sharpness(image, 1 + m),
    op.posterize: lambda image, m: F.posterize(image, round(m)),
    op.solarize: lambda image, m: F.solarize(image, m),
    op.autocontrast: lambda image, _: F.autocontrast(image),
    op.equalize: lambda image, _: F.equalize(image),
}
# truncation turns the smallest difference into 1: grey is rounded here, and quotients are of integers
TOLERANCE = {op.contrast: 1, op.colour: 1, op.sharpness: 1, op.autocontrast: 1}


def name(value: Any) -> str | None:
    return value.__name__ if callable(value) else None


def magnitudes(choice: Choice) -> Iterator[float]:
    """Magnitudes of all bins, with both signs."""
    for magnitude in np.linspace(choice.weakest, choice.strongest, BINS).tolist():
        yield from (magnitude, -magnitude) if choice.signed else (magnitude,)


def parametrize_choices(references: dict[op.Operation, Reference]) -> pytest.MarkDecorator:
    choices = [choice for choice in dict.fromkeys((*MODERATE, *WIDE)) if choice.operation in references]
    ids = [f"{choice.operation.__name__}-{choice.strongest:.3g}" for choice in choices]
    return pytest.mark.parametrize("choice", choices, ids=ids)


def apply_reference(reference: Reference, image: Image, magnitude: float) -> NDArray[np.int64]:
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    return reference(tensor, magnitude).permute(1, 2, 0).numpy().astype(np.int64)


def test_every_operation_of_the_tables_has_a_reference() -> None:
    assert {choice.operation for choice in (*MODERATE, *WIDE)} == {*GEOMETRIC, *COLOURS}


@parametrize_choices(COLOURS)
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_colours_equal_torchvisions_within_one(choice: Choice, image: Image) -> None:
    for magnitude in magnitudes(choice):
        found = choice.operation(image, magnitude, FILL)
        difference = np.abs(found - apply_reference(COLOURS[choice.operation], image, magnitude)).max()
        assert difference <= TOLERANCE.get(choice.operation, 0), f"{difference} apart at {magnitude}"


@parametrize_choices(GEOMETRIC)
@pytest.mark.parametrize("image", [IMAGES["photograph"], IMAGES["odd"]], ids=["photograph", "odd"])
def test_geometry_equals_torchvisions(choice: Choice, image: Image) -> None:
    """A pixel halfway between two others may be copied from either.

    A slope of 0.2 puts all pixels of every fifth row there, and the last bit of torchvision's float32 decides. Such
    pixels have to equal torchvision's for a slightly different magnitude. One pixel in 100 may still differ, because
    OpenCV before version 5 rounds coordinates to 1/1024 of a pixel.
    """
    reference, small = GEOMETRIC[choice.operation], 3e-4 * choice.strongest
    for magnitude in magnitudes(choice):
        found = choice.operation(image, magnitude, FILL)
        similar = [apply_reference(reference, image, magnitude + other) for other in (0.0, -small, small)]
        if choice.operation not in (op.shear_x, op.shear_y, op.rotate):
            similar = similar[:1]
        equal = np.any([(found == other).all(axis=2) for other in similar], axis=0)
        assert equal.mean() >= 0.99, f"{equal.mean():.3f} are equal at {magnitude}"


@parametrize_choices({**GEOMETRIC, **COLOURS})
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_operations_keep_their_input_and_its_size(choice: Choice, image: Image) -> None:
    before = image.copy()
    for magnitude in magnitudes(choice):
        found = choice.operation(image, magnitude, FILL)
        assert found.shape == image.shape and found.dtype == np.uint8 and found.flags.c_contiguous
        assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "choice",
    [choice for choice in (*MODERATE, *WIDE) if choice.signed],
    ids=lambda choice: f"{choice.operation.__name__} up to {choice.strongest:.3g}",
)
def test_a_magnitude_of_zero_changes_nothing(choice: Choice) -> None:
    for image in IMAGES.values():
        assert np.array_equal(choice.operation(image, 0.0, FILL), image)


@pytest.mark.parametrize("operation", [o for o in GEOMETRIC if o is not op.rotate], ids=name)
def test_vacated_pixels_have_the_fill_colour(operation: op.Operation) -> None:
    found = operation(np.zeros((200, 200, 3), np.uint8), 0.99 if "share" in operation.__name__ else 30.0, FILL)
    filled = (found == FILL).all(axis=2)
    assert filled.any() and not found[~filled].any()


# policies


def outcomes(policy: Policy, image: Image, seeds: int) -> Counter[bytes]:
    """Number of times that each result occurs for ``image``."""
    return Counter(policy(image, FILL, np.random.default_rng(seed)).tobytes() for seed in range(seeds))


# magnitudes and bins for which torchvision's float32 does not fall to the other side of a whole number
WHOLES = {
    "RandAugment": (
        RandAugment(operations=1, magnitude=21),
        v2.RandAugment(num_ops=1, magnitude=21, num_magnitude_bins=BINS, fill=list(FILL)),
        23,  # 9 with both signs, 5 others
    ),
    "TrivialAugment": (
        TrivialAugment(bins=3),
        v2.TrivialAugmentWide(num_magnitude_bins=3, fill=list(FILL)),
        43,  # 9 with both signs in two bins, identity, posterize and solarize in two bins, two others
    ),
}


@pytest.mark.parametrize(("policy", "theirs", "count"), WHOLES.values(), ids=WHOLES)
def test_policies_have_the_results_of_torchvisions(policy: Policy, theirs: v2.Transform, count: int) -> None:
    image = photograph(46, 62)
    tensor = torch.from_numpy(image).permute(2, 0, 1).contiguous()
    torch.manual_seed(0)
    expected = {theirs(tensor).permute(1, 2, 0).numpy().tobytes() for _ in range(1500)}
    found = outcomes(policy, image, 1500)
    assert len(found) == count
    ours = np.stack([np.frombuffer(result, np.uint8) for result in found]).astype(np.int16)
    matched: set[int] = set()
    for result in expected:
        near = (np.abs(ours - np.frombuffer(result, np.uint8)) <= 1).mean(axis=1)
        assert near.max() >= 0.97
        matched.add(int(near.argmax()))
    assert matched == set(range(count))


def test_operations_and_signs_are_drawn_evenly() -> None:
    image, seeds = photograph(46, 62), 2800
    found = outcomes(RandAugment(operations=1, magnitude=21), image, seeds)
    for choice in MODERATE:
        for sign in (1, -1) if choice.signed else (1,):
            magnitude = choice.weakest + 0.7 * (choice.strongest - choice.weakest)
            share = found[choice.operation(image, sign * magnitude, FILL).tobytes()] / seeds * len(MODERATE)
            assert share == pytest.approx(0.5 if choice.signed else 1.0, rel=0.3), choice.operation.__name__


def test_every_bin_is_drawn() -> None:
    white = np.full((1, 1, 3), 255, np.uint8)
    values = {TrivialAugment()(white, (0, 0, 0), np.random.default_rng(seed))[0, 0, 0] for seed in range(6000)}
    darker = {int(np.float32(255) * np.float32(1 - 0.99 * k / 30)) for k in range(BINS)}
    assert darker <= values


def test_operations_are_applied_in_a_row() -> None:
    image, choices = photograph(12, 16), RandAugment(operations=1, magnitude=21)
    single = outcomes(choices, image, 400)
    pairs = {
        again
        for result in single
        for again in outcomes(choices, np.frombuffer(result, np.uint8).reshape(image.shape), 400)
    }
    found = outcomes(RandAugment(operations=2, magnitude=21), image, 300)
    assert set(found) <= pairs
    assert len(set(found) - set(single)) > 100


@EVERY_POLICY
@pytest.mark.parametrize("image", IMAGES.values(), ids=IMAGES)
def test_a_seed_repeats_a_valid_image(policy: Policy, image: Image) -> None:
    before = image.copy()
    for seed in range(60):
        found = policy(image, FILL, np.random.default_rng(seed))
        assert np.array_equal(found, policy(image, FILL, np.random.default_rng(seed)))
        assert found.shape == image.shape and found.dtype == np.uint8 and found.flags.c_contiguous
        assert np.array_equal(image, before)


@EVERY_POLICY
def test_seeds_differ(policy: Policy) -> None:
    assert len(outcomes(policy, photograph(32, 32), 60)) > 12


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (lambda: RandAugment(operations=0), "operations", 0),
        (lambda: RandAugment(magnitude=31), "magnitude", 31),
        (lambda: RandAugment(magnitude=-1), "magnitude", -1),
        (lambda: RandAugment(magnitude=5, bins=5), "magnitude", 5),
        (lambda: RandAugment(magnitude=0, bins=1), "bins", 1),
        (lambda: TrivialAugment(bins=1), "bins", 1),
    ],
)
def test_invalid_values_are_named_in_one_sentence(
    make: Callable[[], Policy], key: str, value: int, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(ValueError, match=key) as caught:
        make()
    assert_one_sentence(caught.value, value)


@pytest.mark.parametrize("augmentation", ["CropAugmentation", "ShiftAugmentation"])
def test_policies_are_chosen_on_the_command_line(augmentation: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--model=ClassificationTask", "--model.backbone=MobileNetV2", "--data=FolderClassification"]
    chosen = [
        f"--data.augmentation={augmentation}",
        "--data.augmentation.policy=RandAugment",
        "--data.augmentation.policy.magnitude=7",
        "--data.augmentation.random_erasing=0.25",
    ]
    with pytest.raises(SystemExit):
        main([*words, "--data.root=images", *chosen, "--print_config"])
    values = yaml.safe_load(capsys.readouterr().out)["data"]["init_args"]["augmentation"]["init_args"]
    assert values["random_erasing"] == 0.25
    assert values["policy"]["class_path"].endswith(".RandAugment")
    assert values["policy"]["init_args"] == {"operations": 2, "magnitude": 7, "bins": 31}
