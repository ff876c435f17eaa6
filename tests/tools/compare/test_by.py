"""`litmobile compare --by` compares each class and size, and corrects for all of these differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.detection.evaluation.evidence import SIZES, DetectionEvidence
from litmobile.tasks.detection.evaluation.ground_truth import GroundTruth
from litmobile.tasks.evidence import Evidence, save_evidence
from litmobile.tasks.segmentation.evidence import SegmentationEvidence
from litmobile.tools.cli import main
from litmobile.tools.compare.comparison import Settings, Side
from litmobile.tools.compare.compute import compare_sides
from litmobile.tools.compare.significance import correct_holm
from support.cli import get_refusal
from support.evidence import NO_BOUNDARIES

CLASSES = ("easy", "same", "hard", "rare", "absent")
IMAGES = 200


def classify(accuracies: list[float], seed: int) -> Evidence:
    """Return evidence of a classifier with an accuracy for each class; the fourth has one image, the fifth none."""
    random = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % 3
    labels[0] = 3
    is_right = random.random(IMAGES) < np.array(accuracies)[labels]
    best = np.where(is_right, labels, (labels + 1) % 3)
    return ClassificationEvidence(
        classes=CLASSES,
        names=tuple(map(str, range(IMAGES))),
        scores=np.full((IMAGES, 5), 0.2, dtype=np.float32),
        ranking=np.column_stack([(best + k) % 5 for k in range(5)]).astype(np.int32),
        labels=labels.astype(np.int32),
    )


def segment() -> Evidence:
    """Return evidence of a segmenter that predicts a class that no image has."""
    images = np.repeat(np.arange(IMAGES, dtype=np.int32), 2)
    truth = np.zeros(2 * IMAGES, dtype=np.uint8)
    predicted = np.tile(np.array([0, 1], dtype=np.uint8), IMAGES)
    return SegmentationEvidence(
        classes=("road", "absent"),
        names=tuple(map(str, range(IMAGES))),
        images=images,
        truth=truth,
        predicted=predicted,
        pixels=np.full(2 * IMAGES, 5),
        boundaries=NO_BOUNDARIES,
    )


def detect(found: float) -> Evidence:
    """Return evidence of a detector that finds a share of the objects: two images have large ones, others small."""
    images = np.arange(40)
    sides = np.where(images < 2, 200.0, 20.0)
    boxes = np.column_stack((np.zeros((40, 2)), sides, sides))
    truth = GroundTruth(
        image_ids=images,
        image_names=np.array([str(image) for image in images]),
        category_ids=np.arange(2),
        classes=("a", "b"),
        images=images,
        categories=np.zeros(40, dtype=np.int64),
        boxes=boxes,
        areas=sides**2,
        is_crowd=np.zeros(40, dtype=bool),
    )
    rows = np.column_stack((images, boxes, np.full(40, 0.5), np.zeros(40))).astype(np.float64)
    return DetectionEvidence.from_detections(truth, images, rows[: int(40 * found)])


def compare(first: Evidence, second: Evidence, **settings: Any) -> Any:
    """Compare two networks by class."""
    values = {"figures": first.figure_names[:1], "resamples": 500, "by": ["class"], **settings}
    return compare_sides([Side("A", [first]), Side("B", [second])], Settings(**values))


@pytest.fixture(scope="module")
def classes() -> Any:
    """The comparison of two classifiers by class."""
    first, second = classify([0.95, 0.6, 0.2, 1.0, 0.0], 0), classify([0.3, 0.6, 0.9, 0.0, 0.0], 1)
    return compare(first, second).by["class"]


def test_the_better_network_is_named_for_each_class(classes: Any) -> None:
    assert classes.images == {"easy": 66, "same": 67, "hard": 66, "rare": 1, "absent": 0}
    better = {name: pairs[0].better for name, pairs in classes.pairs.items()}
    assert better == {"easy": "A", "same": None, "hard": "B", "rare": None, "absent": None}
    assert classes.pairs["hard"][0].sentence.startswith("B is better than A by 0.")


def test_one_image_is_no_evidence(classes: Any) -> None:
    assert classes.pairs["rare"][0].difference.value == 1
    assert classes.pairs["rare"][0].corrected == 1


def test_a_class_without_images_is_not_in_the_family(classes: Any) -> None:
    assert classes.size == 4
    assert classes.pairs["absent"][0].difference is None
    assert np.isnan(classes.estimates["absent"]["A"].value)
    found = [pairs[0] for pairs in classes.pairs.values() if pairs[0].difference]
    assert [pair.corrected for pair in found] == correct_holm([pair.difference.p_value for pair in found])


def test_a_class_that_is_only_predicted_is_undefined() -> None:
    family = compare(segment(), segment()).by["class"]
    assert family.pairs["absent"][0].difference is None
    assert family.pairs["road"][0].difference.is_zero
    assert family.figure == "iou"


def test_all_pairs_of_all_classes_are_one_family() -> None:
    sides = [Side(name, [classify([0.5, 0.6, 0.7, 1, 0], seed)]) for seed, name in enumerate("ABC")]
    family = compare_sides(sides, Settings(["top1"], resamples=100, by=["class"])).by["class"]
    assert [len(pairs) for pairs in family.pairs.values()] == [3] * 5
    assert family.size == 3 * 4


def test_sizes_are_compared() -> None:
    family = compare(detect(1.0), detect(0.3), by=["size"]).by["size"]
    assert family.images == {"AP_small": 38, "AP_medium": 0, "AP_large": 2}
    assert [family.pairs[name][0].better for name in SIZES] == ["A", None, None]
    assert family.pairs["AP_medium"][0].difference is None


def test_a_comparison_by_class_leaves_the_figures_alone() -> None:
    first, second = detect(0.9), detect(0.5)
    whole, plain = (compare(first, second, by=by) for by in (["class", "size"], []))
    assert whole.pairs == plain.pairs and set(whole.estimates) == {"AP"} and plain.by == {}


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two runs of classifiers."""
    for seed, name in enumerate("AB"):
        save_evidence(tmp_path / name / "val-evidence.npz", classify([0.9 - 0.6 * seed, 0.6, 0.5, 1, 0], seed), {})
    return [str(tmp_path / "A"), str(tmp_path / "B")]


def test_the_text_sorts_classes_by_difference(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(["compare", *runs, "--by=[class]", "--resamples=300", "--names=[wide, narrow]"])
    text = capsys.readouterr().out
    assert "top1 by class; p-values are corrected for 4 differences." in text
    sentence = "wide is better in 1 class (easy); no difference is certain in 3 classes; 1 class cannot be compared."
    assert sentence in text
    rows = text[text.rindex("wide − narrow") :].splitlines()[1:6]
    values = [float(row.split()[1].replace("–", "-9")) for row in rows]
    assert values == sorted(values, reverse=True) and rows[-1].startswith("absent")


def test_json_has_null_for_what_is_undefined(runs: list[str], tmp_path: Path) -> None:
    main(["compare", *runs, "--by=[class]", "--resamples=100", "--json", str(tmp_path / "c.json")])
    content = json.loads((tmp_path / "c.json").read_text())["by_class"]
    assert content["figures"]["absent"]["A"] == {"value": None, "interval": [None, None], "seeds": [None]}
    assert "difference" not in content["pairs"]["absent"][0]
    assert content["pairs"]["easy"][0]["better"] == "A" and content["images"]["rare"] == 1


@pytest.mark.parametrize(
    ("option", "mentioned"),
    [
        ("--by=[size]", "--by=[size] is for detection; the classification figures have no sizes."),
        ("--by=[area]", "--by: area is unknown; choose among class, size."),
        ("--by=area", "--by: area is unknown; choose among class, size."),
    ],
)
def test_what_cannot_be_compared_by_is_named(
    option: str, mentioned: str, runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert mentioned in get_refusal("compare", *runs, option, capsys=capsys)


def test_one_part_needs_no_brackets(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    texts: list[str] = []
    for option in ("--by=class", "--by=[class]"):
        main(["compare", *runs, option, "--resamples=100"])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
