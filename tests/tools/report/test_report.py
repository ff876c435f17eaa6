"""`litmobile report` writes one page about an evaluation, from the run's folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from litmobile.tasks.evidence import Evidence, save_evidence
from litmobile.tools.cli import main
from litmobile.tools.pages import Interval
from litmobile.tools.report.sections import describe_extremes
from support.cli import get_refusal
from support.evidence import make_classification, make_detection, make_segmentation
from support.pages import Page

Make = Callable[[int, Sequence[str]], Evidence]

TASKS: dict[str, tuple[Make, str, list[str]]] = {
    "detection": (
        make_detection,
        "AP",
        ["Classes and sizes", "Precision and recall", "Score threshold", "Errors", "Confusion", "Calibration"],
    ),
    "segmentation": (make_segmentation, "miou", ["Classes", "Confusion"]),
    "classification": (make_classification, "top1", ["Classes", "Confusion", "Calibration", "Errors"]),
}
CLASSES = ["cat", "dog", "cow"]
IDENTITY = {"split": "val", "epoch": 3, "step": 120, "weights": "0123abcd"}
JPEG = b"\xff\xd8\xff\xe0 a JPEG file"


def write_run(folder: Path, evidence: Evidence, split: str = "val") -> Path:
    """Write a run of 120 steps with four validations, the second of which is the best."""
    folder.mkdir(exist_ok=True)
    save_evidence(folder / f"{split}-evidence.npz", evidence, IDENTITY | {"split": split})
    main_figure = f"val/{evidence.figure_names[0]}"
    entries = [
        {"split": "val", "epoch": k, "step": 30 * (k + 1), main_figure: v} for k, v in enumerate((0.1, 0.9, 0.5, 0.6))
    ]
    (folder / "metrics.json").write_text(json.dumps(entries))
    rows = "".join(f"0,{step},{2 - step / 100},0.1\n" for step in range(0, 120, 20))
    (folder / "metrics.csv").write_text(f"epoch,step,train/loss,train/lr\n{rows}")
    (folder / "config.yaml").write_text("model:\n  optimizer: <SGD>\n")
    return folder


def write_examples(folder: Path, kinds: Sequence[str]) -> None:
    """Write drawings of an evaluation."""
    (folder / "a.jpg").write_bytes(JPEG)
    entries = [{"kind": kind, "name": f"{kind}.jpg", "caption": "half is right", "file": "a.jpg"} for kind in kinds]
    (folder / "val-examples.json").write_text(json.dumps(entries))


def report(folder: Path, *words: str, name: str = "report.html") -> Page:
    main(["report", "--run", str(folder), *words])
    return Page((folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", TASKS)
def test_a_page_has_all_parts_and_no_problems(task: str, tmp_path: Path) -> None:
    make, _, titles = TASKS[task]
    run = write_run(tmp_path / "run", make(12, CLASSES))
    write_examples(run, ["worst", "best", "label_error"])
    page = report(run)
    assert page.problems == []
    for title in ("Figures", "Learning curves", *titles, "Configuration", "What was evaluated"):
        assert f"{title} " in page.text
    assert "model:\n  optimizer: <SGD>" in page.text
    assert "0123abcd" in page.text and "torch version" in page.text


@pytest.mark.parametrize("task", TASKS)
def test_the_answer_is_the_main_figure_with_its_interval(task: str, tmp_path: Path) -> None:
    make, figure, _ = TASKS[task]
    evidence = make(40, CLASSES)
    value = evidence.figures(np.ones((1, 40)), [figure])[figure][0]
    page = report(write_run(tmp_path / "run", evidence))
    answer = page.text[page.text.index(f"{figure} ") :].split()
    low, high = float(answer[2].strip("(")), float(answer[4].strip(")"))
    assert answer[1] == f"{value:.3f}"
    assert 0 < low < value < high < 1
    assert f"{figure} {value:.3f} ({low:.3f} to {high:.3f}) on the 40 images of the validation split." in page.text


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("images", "classes"), [(1, CLASSES), (2, ["only"]), (3, [f"class {k}" for k in range(70)])])
def test_unusual_evaluations_have_a_page(task: str, images: int, classes: list[str], tmp_path: Path) -> None:
    page = report(write_run(tmp_path / "run", TASKS[task][0](images, classes)))
    assert page.problems == []


@pytest.mark.parametrize(("objects", "wrong"), [(0, 3), (3, 0), (0, 0)])
def test_detectors_without_objects_or_detections_have_a_page(objects: int, wrong: int, tmp_path: Path) -> None:
    evidence = make_detection(5, CLASSES, objects=objects, wrong=wrong)
    page = report(write_run(tmp_path / "run", evidence))
    assert page.problems == []
    assert ("AP is undefined on the 5 images" in page.text) == (objects == 0)


def test_scores_of_other_programs_can_be_any_numbers(tmp_path: Path) -> None:
    evidence = make_detection(9, CLASSES)
    evidence = replace(evidence, matched=replace(evidence.matched, scores=100 * evidence.matched.scores - 50))
    page = report(write_run(tmp_path / "run", evidence))
    assert page.problems == []
    assert "Scores outside 0 … 1 are not probabilities" in page.text


def test_an_interval_of_one_image_is_undefined(tmp_path: Path) -> None:
    page = report(write_run(tmp_path / "run", make_classification(1, CLASSES)))
    assert "(" not in page.text[: page.text.index("on the 1 image of")].rpartition("top1")[2]


def test_names_of_classes_and_images_are_only_text(tmp_path: Path) -> None:
    evidence = make_classification(9, ["<script>", '"&', "c"])
    evidence = replace(evidence, names=tuple(f"<img src=x onerror={k}>" for k in range(9)))
    page = report(write_run(tmp_path / "run", evidence))
    assert page.problems == []
    assert not page.find("script") and not page.find("img")
    assert "<script>" in page.text


def test_a_better_earlier_validation_is_named(tmp_path: Path) -> None:
    page = report(write_run(tmp_path / "run", make_classification(9, CLASSES)))
    assert "Weights of epoch 3, step 120. Step 60 had the best val/top1, 0.900" in page.text


@pytest.mark.parametrize("value", ["NaN", "null", '"high"'])
def test_a_validation_without_a_figure_is_not_the_best(value: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_classification(9, CLASSES))
    text = (run / "metrics.json").read_text()
    (run / "metrics.json").write_text(text.replace("0.1", value))
    assert "Step 60 had the best val/top1" in report(run).text


def test_confusion_matrices_of_many_classes_are_cut(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_classification(300, [f"class {k}" for k in range(70)]))
    text = report(run).text
    assert "10 classes that are confused less often, or do not occur, are left out." in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5, 0.9, 0.2], ["Best class: b, 0.900 (0.800 to 1.000). Worst: c, 0.200 (0.100 to 0.300)."]),
        ([1.0, 0.4, 1.0, 0.99996], ["Best class: a and 2 more, 1.000. Worst: b, 0.400 (0.300 to 0.500)."]),
        ([0.5, float("nan"), 0.9], ["Best class: c, 0.900 (0.800 to 1.000). Worst: a, 0.500 (0.400 to 0.600)."]),
        ([0.5, 0.5], []),
        ([0.5], []),
        ([float("nan")], []),
        ([], []),
    ],
)
def test_the_best_and_the_worst_class_are_named(values: list[float], expected: list[str]) -> None:
    rows = [Interval(name, value, value - 0.1, value + 0.1) for name, value in zip("abcd", values, strict=False)]
    assert describe_extremes(rows) == expected


def test_images_are_embedded(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_detection(9, CLASSES))
    write_examples(run, ["worst", "best", "best"])
    page = report(run)
    images = page.find("img")
    assert len(images) == 3 and all(image["src"].startswith("data:image/jpeg;base64,") for image in images)
    assert "worst.jpg: half is right" in page.text


@pytest.mark.parametrize("file", ["missing.jpg", "../secret.jpg", "/etc/hostname", "link.jpg"])
def test_only_drawings_in_the_run_are_embedded(file: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_detection(9, CLASSES))
    write_examples(run, ["worst", "best"])
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    (run / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    listing = run / "val-examples.json"
    listing.write_text(listing.read_text().replace("a.jpg", file, 1))
    assert len(report(run).find("img")) == 1


@pytest.mark.parametrize("text", ["", "[{", "[1]", '{"a": 1}', "[{}]", "[[]]", "\xff"])
def test_a_damaged_list_of_examples_is_left_out(text: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_detection(9, CLASSES))
    (run / "val-examples.json").write_bytes(text.encode("latin-1"))
    page = report(run)
    assert page.problems == [] and not page.find("img")


def test_a_page_needs_nothing_but_evidence(tmp_path: Path) -> None:
    save_evidence(tmp_path / "val-evidence.npz", make_detection(9, CLASSES), {"split": "val"})
    page = report(tmp_path)
    assert page.problems == []
    assert "Learning curves" not in page.text and "Configuration" not in page.text


def test_the_page_of_the_test_split_is_another_file(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_classification(9, CLASSES))
    write_run(run, make_classification(8, CLASSES), split="test")
    assert "9 images of the validation split" in report(run).text
    assert "8 images of the test split" in report(run, "--split=test", name="report-test.html").text


def test_the_same_evaluation_gives_the_same_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_segmentation(9, CLASSES))
    assert report(run).elements == report(run).elements


def test_damaged_histories_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_segmentation(9, CLASSES))
    (run / "metrics.csv").write_text("epoch,step,train/loss\n0,1,not a number\n0,2,0.5\n0,3")
    (run / "metrics.json").write_text("[{")
    assert report(run).problems == []


def test_intervals_stay_within_0_and_1(tmp_path: Path) -> None:
    """Resampled values are moved so that their mean is the figure, which can move some below 0."""
    evidence = make_classification(200, CLASSES)
    ranking = np.column_stack((evidence.labels, (evidence.labels + 1) % 3, (evidence.labels + 2) % 3))
    scores = np.full((200, 3), 1e-3, dtype=np.float32)
    scores[np.arange(200), evidence.labels] = 0.998
    page = report(write_run(tmp_path / "run", replace(evidence, ranking=ranking.astype(np.int32), scores=scores)))
    assert "top1 1.000 (1.000 to 1.000)" in page.text
    assert "-0.0" not in page.text and "to 1.00 " not in page.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "missing"], "missing does not exist"),
        (["--run", "."], "val-evidence.npz does not exist: run litmobile validate or test first."),
        ([], "litmobile report needs --run FOLDER"),
        (["--run", ".", "--split=train"], "--split"),
    ],
)
def test_what_cannot_be_reported_is_one_sentence(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = get_refusal("report", *words, capsys=capsys)
    assert message in refusal and "\n" not in refusal.strip()
