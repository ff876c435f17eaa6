"""`litmobile compare` says which network is better, and refuses what cannot be compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.evidence import Evidence, save_evidence
from litmobile.tasks.segmentation.evidence import SegmentationEvidence
from litmobile.tools.cli import main
from support.cli import get_refusal
from support.evidence import NO_BOUNDARIES
from support.pages import Page

IMAGES = 60
FAST = ["--resamples=200"]


def make_classifier(accuracy: float, seed: int, **changes: Any) -> Evidence:
    """Return evidence of a classifier on images whose first ones are easy."""
    is_right = np.arange(IMAGES) / IMAGES + np.random.default_rng(seed).normal(0, 0.05, IMAGES) < accuracy
    values = {
        "classes": ("a", "b"),
        "names": tuple(f"{k}.png" for k in range(IMAGES)),
        "scores": np.full((IMAGES, 2), 0.5, dtype=np.float32),
        "ranking": np.where(is_right[:, None], [[0, 1]], [[1, 0]]).astype(np.int32),
        "labels": np.zeros(IMAGES, dtype=np.int32),
    }
    return ClassificationEvidence(**{**values, **changes})


def write_run(folder: Path, evidence: Evidence, seed: int = 0, width: float = 1.0) -> Path:
    """Write a run's configuration and evidence."""
    folder.mkdir(parents=True)
    save_evidence(folder / "val-evidence.npz", evidence, {"split": "val"})
    (folder / "config.yaml").write_text(f"seed_everything: {seed}\nmodel:\n  width: {width}\n")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    """Runs of a good, an equally good and a bad classifier."""
    accuracies = {"good": 0.8, "alike": 0.8, "bad": 0.5}
    return {
        name: write_run(tmp_path / name, make_classifier(accuracy, k), width=k)
        for k, (name, accuracy) in enumerate(accuracies.items())
    }


def compare(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    main(["compare", *map(str, words), *FAST])
    return capsys.readouterr().out


def test_the_better_network_is_named_first(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = compare(capsys, runs["bad"], runs["good"])
    assert text.startswith("good is better than bad by 0.")
    assert "top1" in text and "200 resamples of 60 images" in text


def test_what_would_tell_networks_apart_is_said(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = compare(capsys, runs["good"], runs["alike"])
    assert text.startswith("good and alike cannot be told apart with these 60 images; about ")
    assert "images would resolve 0.01." in text


def test_enough_images_are_said_to_be_enough(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = compare(capsys, runs["good"], runs["alike"], "--resolution=0.5")
    assert text.startswith("good and alike cannot be told apart with these 60 images, which resolve 0.5.")


def test_small_differences_within_the_region_do_not_matter(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = compare(capsys, runs["good"], runs["alike"], "--rope=0.5")
    assert text.startswith("good and alike differ by at most 0.5 (probability 1.00).")


def test_identical_runs_differ_by_exactly_0(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = write_run(tmp_path / "copy", make_classifier(0.8, 0), width=9)
    assert compare(capsys, runs["good"], copy).startswith(
        "good and copy are equal on these 60 images: the difference is exactly 0."
    )


def test_a_lower_calibration_error_is_better(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    # the confidence is always 0.5, which is what the bad one reaches
    text = compare(capsys, runs["good"], runs["bad"], "--figures=[calibration_error]")
    assert text.startswith("bad is better than good by 0.")


def test_runs_that_differ_in_the_seed_are_one_configuration(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = [write_run(tmp_path / f"seed{k}", make_classifier(0.5, k), seed=k, width=7) for k in range(3)]
    text = compare(capsys, *seeds, runs["good"])
    assert text.startswith("good is better than seed0 (and 2 more) by 0.")
    assert ", 3 seeds)" in text


def test_all_pairs_are_compared(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    text = compare(capsys, *runs.values())
    for pair in ("good − alike", "good − bad", "alike − bad"):
        assert pair in text


def test_json_has_the_printed_values(runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare(capsys, runs["good"], runs["bad"], "--json", tmp_path / "out" / "comparison.json")
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    (pair,) = content["pairs"]["top1"]
    low, high = pair["interval"]
    assert low < pair["difference"] < high
    expected = content["figures"]["top1"]["good"]["value"] - content["figures"]["top1"]["bad"]["value"]
    assert pair["difference"] == pytest.approx(expected)
    assert pair["sentence"].startswith("good is better than bad")


def test_pages_and_files_name_what_was_compared(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, file = tmp_path / "page.html", tmp_path / "c.json"
    compare(capsys, runs["good"], runs["bad"], "--names=[A, B]", "--page", page, "--json", file)
    source = f"{runs['good']} (val split)"
    assert f"<dt>A</dt><dd>{source}</dd>" in page.read_text()
    assert json.loads(file.read_text())["sources"]["A"] == [source]


def test_the_page_of_many_runs_begins_with_the_best(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seeds = {"a": 0.5, "b": 0.6, "best": 0.9, "c": 0.4, "d": 0.3}
    made = [write_run(tmp_path / n, make_classifier(v, k), width=k) for k, (n, v) in enumerate(seeds.items())]
    compare(capsys, *made, "--page", tmp_path / "page.html")
    answer = Page((tmp_path / "page.html").read_text()).text.partition("Differences are")[0]
    assert "top1: 5 configurations best has the highest top1, 0.8" in answer
    assert answer.count("best is better than ") == 4


def test_a_figure_that_is_named_twice_is_compared_once(
    runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    text = compare(capsys, runs["good"], runs["bad"], "--figures=[top5, top1, top5]")
    assert text.startswith("top5 of good or bad is undefined on these images.")  # of two classes
    assert text.splitlines()[2].split() == ["top5", "top1"]


def test_seeds_that_are_called_otherwise_keep_the_name(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = [write_run(tmp_path / f"net_s{k}", make_classifier(0.5, k), seed=k, width=7) for k in range(3)]
    assert compare(capsys, *seeds, runs["good"]).startswith("good is better than net by 0.")
    assert compare(capsys, *seeds, runs["good"], "--names=[narrow, wide]").startswith(
        "wide is better than narrow by 0."
    )


def test_comparing_again_gives_the_same_text(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    paths = runs["good"], runs["alike"]
    assert compare(capsys, *paths) == compare(capsys, *paths) != compare(capsys, *paths, "--seed=1")


OTHER_RUNS: dict[str, tuple[Callable[[], Evidence], list[str]]] = {
    "classes": (lambda: make_classifier(0.8, 0, classes=("a", "c")), ["classes b"]),
    "images": (lambda: make_classifier(0.8, 0, names=("x.png", *map(str, range(1, IMAGES)))), ["images", "0.png"]),
    "order": (
        lambda: make_classifier(0.8, 0, names=tuple(f"{k}.png" for k in reversed(range(IMAGES)))),
        ["images have another order"],
    ),
    "annotations": (
        lambda: make_classifier(0.8, 0, labels=(np.arange(IMAGES) == 7).astype(np.int32)),
        ["annotations", "7.png"],
    ),
    "task": (
        lambda: SegmentationEvidence(
            classes=("a", "b"),
            names=tuple(f"{k}.png" for k in range(IMAGES)),
            images=np.arange(IMAGES, dtype=np.int32),
            truth=np.zeros(IMAGES, dtype=np.uint8),
            predicted=np.zeros(IMAGES, dtype=np.uint8),
            pixels=np.ones(IMAGES, dtype=np.int64),
            boundaries=NO_BOUNDARIES,
        ),
        ["classification", "segmentation"],
    ),
}


@pytest.mark.parametrize(("make", "mentioned"), OTHER_RUNS.values(), ids=OTHER_RUNS)
def test_evaluations_of_other_data_are_refused(
    make: Callable[[], Evidence],
    mentioned: list[str],
    runs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_run(tmp_path / "other", make(), width=5)
    message = get_refusal("compare", str(runs["good"]), str(other), capsys=capsys)
    assert all(word in message for word in ("good", "other", *mentioned)), message


def test_one_image_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {"scores": np.ones((1, 2), np.float32), "ranking": np.array([[0, 1]]), "labels": np.array([0])}
    paths = [
        write_run(tmp_path / name, make_classifier(1.0, 0, names=("a.png",), **arrays), width=ord(name))
        for name in "ab"
    ]
    assert "one image" in get_refusal("compare", *map(str, paths), capsys=capsys)


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [
        ([], "two configurations"),
        (["absent"], "absent does not exist"),
        (["good/config.yaml"], "--annotations"),
        (["good"], "good is given twice"),
        (["good/../good"], "good is given twice"),
        (["alike", "--names=[A]"], "--names has 1 name for 2 configurations: good, alike."),
        (["alike", "--names=[A, A]"], "--names: A occurs twice"),
        (["alike", "--figures=[AP]"], "top1, top5"),
        (["alike", "--resamples=5"], "--resamples"),
        (["alike", "--resamples=abc"], "--resamples takes a whole number, not abc."),
        (["alike", "--resamples=1000000"], "--resamples"),
        (["alike", "--seed=-1"], "--seed"),
        (["alike", "--rope=-1"], "--rope"),
        (["alike", "--annotations=absent.json"], "absent.json"),
        (["alike", "--split=test"], "test-evidence.npz"),
    ],
)
def test_wrong_options_are_named(
    words: list[str], mentioned: str, runs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(runs["good"].parent / word) if "=" not in word else word for word in words]
    assert mentioned in get_refusal("compare", str(runs["good"]), *words, capsys=capsys)


def test_runs_are_compared_without_torch() -> None:
    """Importing it takes longer than the comparison of a small data set."""
    code = "import sys, litmobile.tools.compare.command; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
