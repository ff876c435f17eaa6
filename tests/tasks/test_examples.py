"""Evaluations leave drawn examples: the best and the worst images, and nothing of earlier evaluations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from litmobile.errors import ImageError
from litmobile.tasks import examples as module
from litmobile.tasks.classification.evidence import ClassificationEvidence
from litmobile.tasks.classification.examples import draw_examples
from litmobile.tasks.examples import MAX_BYTES, Example, Examples, choose_examples, write_examples
from litmobile.tools.cli import main
from support.data.images import write_class_folders
from support.data.segmentation import write_block_images
from support.training import SMALL, SMALL_CLASSIFIER, SMALL_SEGMENTER

ROLES = ("classification", "detection", "segmentation")


def test_no_image_is_among_the_best_and_the_worst() -> None:
    scores = np.array([0.5, np.nan, 0.1, 0.9, 0.3])
    assert choose_examples(scores) == ([2, 4], [3, 0])
    assert choose_examples(scores[:1]) == ([0], [])
    many = np.linspace(0.1, 0.9, 30)
    assert choose_examples(many) == ([*range(6)], [29, 28, 27, 26, 25, 24])


def test_perfect_images_are_not_worst_nor_useless_ones_best() -> None:
    assert choose_examples(np.ones(4)) == ([], [3, 2, 1, 0])
    assert choose_examples(np.zeros(4)) == ([0, 1], [])
    assert choose_examples(np.full(3, np.nan)) == ([], [])


def test_errors_and_objects_break_ties() -> None:
    scores = np.array([0.0, 0.0, 1.0, 1.0])
    counts = np.array([1, 5, 2, 7])
    assert choose_examples(scores, counts, counts) == ([1, 0], [3, 2])


def make_example(kind: str, seed: int = 0, size: tuple[int, int] = (20, 30)) -> Example:
    noise = np.random.default_rng(seed).integers(256, size=(*size, 3), dtype=np.uint8)
    return Example(kind, f"{seed}.png", f"Caption of {seed}", noise)


def read_listing(folder: Path, split: str = "val") -> list[dict[str, str]]:
    return json.loads((folder / f"{split}-examples.json").read_text())


def list_files(folder: Path, split: str = "val") -> list[str]:
    files = (folder / "images" / f"{split}-examples").iterdir()
    return sorted(file.relative_to(folder).as_posix() for file in files)


def test_old_examples_are_removed(tmp_path: Path) -> None:
    write_examples(tmp_path, "test", Examples([make_example("best")]))
    write_examples(tmp_path, "val", Examples([make_example("worst", k) for k in range(4)], {"table": [["a"], [1]]}))
    write_examples(tmp_path, "val", Examples([make_example("worst", 7), make_example("label_error", 8)]))
    assert read_listing(tmp_path) == [
        {"kind": "worst", "name": "7.png", "caption": "Caption of 7", "file": "images/val-examples/worst-1.jpg"},
        {
            "kind": "label_error",
            "name": "8.png",
            "caption": "Caption of 8",
            "file": "images/val-examples/label-error-1.jpg",
        },
    ]
    assert list_files(tmp_path) == sorted(entry["file"] for entry in read_listing(tmp_path))
    assert list_files(tmp_path, "test") == ["images/test-examples/best-1.jpg"]
    assert (tmp_path / "val-table.csv").read_text().split() == ["a", "1"]


def test_an_interrupted_write_leaves_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_examples(tmp_path, "val", Examples([make_example("worst")]))
    written: list[Path] = []

    def write_once(path: Path, content: bytes) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)

    monkeypatch.setattr(module, "write_bytes", write_once)
    with pytest.raises(KeyboardInterrupt):
        write_examples(tmp_path, "val", Examples([make_example("worst", k) for k in range(3)]))
    assert not (tmp_path / "val-examples.json").exists()


def test_files_stay_small(tmp_path: Path) -> None:
    noise = [make_example("worst", k, (480, 1284)) for k in range(18)]  # no image is larger as JPEG
    write_examples(tmp_path, "val", Examples(noise))
    assert sum((tmp_path / entry["file"]).stat().st_size for entry in read_listing(tmp_path)) <= MAX_BYTES


def test_images_that_have_disappeared_are_skipped() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], dtype=np.float32)
    evidence = ClassificationEvidence(
        classes=("a", "b"),
        names=("0.png", "1.png", "2.png"),
        scores=scores,
        ranking=np.argsort(-scores, axis=1).astype(np.int32),
        labels=np.array([1, 1, 1], dtype=np.int32),
    )

    def read(name: str) -> Any:
        if name == "0.png":
            raise ImageError(f"{name} does not exist.")
        return np.zeros((9, 9, 3), dtype=np.uint8)

    assert [example.name for example in draw_examples(evidence, read).images] == ["1.png"]
    drawn = draw_examples(evidence, lambda name: np.zeros((9, 9, 3), dtype=np.uint8)).images
    assert [example.name for example in drawn] == ["0.png", "1.png"]
    assert drawn[0].caption == "b classified as a with a score of 0.90; b has 0.10"


@pytest.fixture(scope="module")
def runs(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each task after an epoch of training."""
    folder = tmp_path_factory.mktemp("runs")
    for split in ("train", "val", "test"):
        write_class_folders(folder / "folders" / split, 6)
        write_block_images(folder / "masks", split, 5)
    tasks = {"detection": (SMALL, shapes), "classification": (SMALL_CLASSIFIER, folder / "folders")}
    tasks["segmentation"] = (SMALL_SEGMENTER, folder / "masks")
    for role, (words, root) in tasks.items():
        main(["fit", *words, f"--data.root={root}", "--trainer.max_epochs=1", "--run", str(folder / role)])
    return {role: folder / role for role in tasks}


def check_examples(folder: Path, role: str, split: str) -> None:
    """Check that all examples are drawn and listed, the worst first."""
    entries = read_listing(folder, split)
    assert list_files(folder, split) == sorted(entry["file"] for entry in entries)
    for entry in entries:
        drawn = cv2.imread(str(folder / entry["file"]))
        assert drawn is not None and max(drawn.shape) >= 256
        assert entry["name"].endswith((".png", ".jpg")) and entry["caption"]
    kinds = [entry["kind"] for entry in entries]
    assert kinds == sorted(kinds, key=["worst", "best", "label_error"].index)
    if role == "segmentation":
        assert kinds == ["worst"] * 2 + ["best"] * 3
        means = [float(entry["caption"].split()[2]) for entry in entries]
        assert means == [*sorted(means[:2]), *sorted(means[2:], reverse=True)]
        assert means[1] <= means[-1]
    elif role == "classification":
        assert set(kinds) == {"worst"}
    else:
        assert kinds[0] == "worst"
        header = (folder / f"{split}-label-errors.csv").read_text().splitlines()[0]
        assert header == "image,kind,class,score,labelled_as,x,y,width,height"


@pytest.mark.parametrize("role", ROLES)
def test_a_training_ends_with_examples(role: str, runs: dict[str, Path]) -> None:
    check_examples(runs[role], role, "val")


@pytest.mark.parametrize("role", ROLES)
def test_an_evaluation_draws_the_same_examples(role: str, runs: dict[str, Path]) -> None:
    trained = read_listing(runs[role])
    (runs[role] / "val-examples.json").unlink()
    main(["validate", "--run", str(runs[role])])
    check_examples(runs[role], role, "val")
    assert read_listing(runs[role]) == trained


def test_the_test_split_has_examples_of_its_own(runs: dict[str, Path]) -> None:
    before = read_listing(runs["segmentation"])
    main(["test", "--run", str(runs["segmentation"])])
    check_examples(runs["segmentation"], "segmentation", "test")
    assert read_listing(runs["segmentation"]) == before


def test_a_training_draws_its_last_validation(shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []

    def record(folder: Path, split: str, examples: Examples) -> None:
        steps.append(json.loads((folder / "val.json").read_text())["step"])

    monkeypatch.setattr("litmobile.tasks.callbacks.examples.write_examples", record)
    main(["fit", *SMALL, f"--data.root={shapes}", "--trainer.max_epochs=2", "--run", str(tmp_path / "run")])
    assert steps == [10]
