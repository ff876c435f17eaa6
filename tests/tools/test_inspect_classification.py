"""`litmobile inspect` on labelled pictures: classes, sizes, copies within and across splits, broken files."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from litmobile.tasks.classification import ClassificationDataModule, ClassificationSplit
from litmobile.tools.cli import main
from support.cli import Inspect, Report

FOLDERS = "--data=FolderClassification"
#: train: two cats, four dogs; val: a cat, a dog; height and width of each picture
PICTURES = {
    "train/cat/a.png": (300, 400),
    "train/cat/b.png": (100, 200),
    "train/dog/a.png": (256, 256),
    "train/dog/b.png": (255, 400),
    "train/dog/c.png": (500, 256),
    "train/dog/d.png": (600, 255),
    "val/cat/a.png": (40, 40),
    "val/dog/a.png": (300, 300),
}


class Numbered(ClassificationDataModule):
    """A data set of a user's own, whose source holds pixels and no files."""

    def read(self, split: str) -> ClassificationSplit:
        pixels = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
        pixels[3 if split == "train" else 0] = pixels[1]
        names, labels = np.array([f"#{k}" for k in range(4)]), np.array([0, 1, 1, 0])
        return ClassificationSplit(Path(split), Path(split), names, labels, ("one", "two"), pixels=pixels)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folders of noise, every picture another."""
    random = np.random.default_rng(0)
    for name, size in PICTURES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(256, size=(*size, 3), dtype=np.uint8))
    return tmp_path / "data"


def assert_same_classes(text: str, report: Report) -> None:
    """Check that the table of classes says what the JSON file says."""
    lines = text.splitlines()
    names = list(report["splits"])
    assert lines[0].split() == ["class", *(cell for name in names for cell in (name, "share"))]
    for k, row in enumerate(report["splits"]["train"]["classes"]):
        counts = [split["classes"][k] for split in report["splits"].values()]
        cells = [cell for count in counts for cell in (str(count["images"]), f"{100 * count['share']:.1f} %")]
        assert re.split(r"\s{2,}", lines[1 + k]) == [row["name"], *cells]


def test_classes_are_counted_split_by_split(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert_same_classes(text, report)
    train, val = report["splits"]["train"], report["splits"]["val"]
    assert [(row["name"], row["images"]) for row in train["classes"]] == [("cat", 2), ("dog", 4)]
    assert (train["images"], train["fewest"], train["most"], train["ratio"]) == (6, "cat", "dog", 2.0)
    assert [row["images"] for row in val["classes"]] == [1, 1] and val["ratio"] == 1.0
    assert "6 images of 2 classes; fewest 2 (cat), most 4 (dog), 1 to 2.00" in text
    assert "has no folder test" in report["not_read"]["test"] and report["not_read"]["test"] in text
    assert report["stops"] == []


def test_a_class_without_images_gives_no_ratio(root: Path, inspect: Inspect) -> None:
    shutil.rmtree(root / "val" / "cat")
    (root / "val" / "cat").mkdir()
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert report["splits"]["val"]["ratio"] is None
    assert "fewest 0 (cat), most 1 (dog), no ratio" in text


@pytest.mark.parametrize(
    ("words", "size", "enlarged"),
    [
        ([], [224, 224], 3),  # the shorter side becomes 256
        (["--size", "80", "80"], [80, 80], 0),
        (["--size", "260", "350"], [260, 350], 5),  # 300×400 just suffices
        (["--model=ClassificationTask", "--model.backbone=MobileNetV2", "--model.preprocessing.size=[260,200]",
          "--model.preprocessing.fit=stretch"], [260, 200], 3),
        (["--model=ClassificationTask", "--model.backbone=MobileNetV2", "--model.preprocessing.size=[64,260]",
          "--model.preprocessing.fit=stretch"], [64, 260], 4),
        (["--model=ClassificationTask", "--model.backbone=MobileNetV2", "--model.preprocessing.size=[64,240]",
          "--model.preprocessing.fit=pad"], [64, 240], 0),
    ],
)  # fmt: skip
def test_pictures_are_measured_against_the_input(
    words: list[str], size: list[int], enlarged: int, root: Path, inspect: Inspect
) -> None:
    text, report = inspect(FOLDERS, f"--data.root={root}", *words)
    assert report["input"]["size"] == size
    found = report["splits"]["train"]["pictures"]
    sizes = [side for name, side in PICTURES.items() if name.startswith("train")]
    for k, side in enumerate(("height", "width")):
        expected = np.percentile([size[k] for size in sizes], (1, 10, 50, 90, 99)).tolist()
        assert list(found[side].values()) == expected
        row = next(line for line in text.splitlines() if line.startswith(f"{side} "))
        assert row.split()[1:] == [f"{value:.0f}" for value in expected]
    assert sorted((size["height"], size["width"]) for size in found["sizes"]) == sorted(sizes)
    assert found["enlarged"] == enlarged
    assert f"so that they are enlarged: {enlarged} ({100 * enlarged / 6:.1f} %)" in text


def test_what_validation_shares_with_training_is_told_first_of_all_copies(root: Path, inspect: Inspect) -> None:
    shutil.copy(root / "train/cat/a.png", root / "val/cat/again.png")
    shutil.copy(root / "train/cat/b.png", root / "val/dog/other class.png")
    shutil.copytree(root / "val", root / "test")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    shared = [tuple(row.values()) for row in report["copies"]["shared"]]
    assert shared == [("val", "train", 2, 0.5, 1), ("test", "train", 2, 0.5, 1), ("test", "val", 4, 1.0, 0)]
    assert "pictures of val that train has as well: 2 (50.0 %), 1 of them under another class" in text
    assert "train cat/b.png (cat) = val dog/other class.png (dog) = test dog/other class.png (dog)" in text
    assert [len(group) for group in report["copies"]["groups"]] == [3, 3, 2, 2]


def test_copies_within_a_split_are_named(root: Path, inspect: Inspect) -> None:
    shutil.copy(root / "train/cat/a.png", root / "train/dog/cat.png")
    shutil.copy(root / "train/dog/a.png", root / "train/dog/again.png")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [tuple(row.values()) for row in report["copies"]["repeated"]] == [("train", 2, 1), ("val", 0, 0)]
    assert "pictures that train has more than once: 2, 1 of them under different classes" in text
    assert "pictures that val has more than once: none" in text
    assert "  train cat/a.png (cat) = train dog/cat.png (dog)" in text
    assert "pictures of val that train has as well: none" in text


def test_the_same_pixels_in_another_format_are_a_copy_and_others_of_the_same_bytes_are_none(
    root: Path, inspect: Inspect
) -> None:
    with Image.open(root / "train/cat/a.png") as image:
        image.save(root / "val/cat/same.bmp")
        Image.fromarray(np.array(image).reshape(400, 300, 3)).save(root / "val/cat/turned.png")
    _, report = inspect(FOLDERS, f"--data.root={root}")
    (group,) = report["copies"]["groups"]
    assert [copy["name"] for copy in group] == ["cat/a.png", "cat/same.bmp"]


def test_of_many_copies_some_are_printed_and_all_written(root: Path, inspect: Inspect) -> None:
    for k in range(11):
        shutil.copy(root / "train/cat/a.png", root / f"train/cat/z{k:02}.png")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [len(group) for group in report["copies"]["groups"]] == [12]
    assert "train cat/z06.png (cat) = and 4 more" in text and "z07" not in text


def test_files_that_cannot_be_read_are_named_and_counted_nowhere_else(root: Path, inspect: Inspect) -> None:
    for name in ("train/cat/broken.png", "train/dog/broken.png"):
        (root / name).write_text("no picture")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [len(faults) for faults in report["broken"].values()] == [2, 0]
    assert report["stops"] == ["2 of 8 images of train cannot be used: --data.on_invalid=skip leaves them out."]
    assert inspect(FOLDERS, f"--data.root={root}", "--data.on_invalid=skip")[1]["stops"] == []
    for fault in report["broken"]["train"]:
        assert "broken.png cannot be read as a picture" in fault and fault in text
    assert report["copies"]["groups"] == []
    assert sum(size["images"] for size in report["splits"]["train"]["pictures"]["sizes"]) == 6
    assert report["splits"]["train"]["images"] == 8


def test_without_pictures_only_labels_are_looked_at(root: Path, inspect: Inspect) -> None:
    (root / "train/cat/broken.png").write_text("no picture")
    text, report = inspect(FOLDERS, f"--data.root={root}", "--no-pictures")
    assert_same_classes(text, report)
    assert report["broken"] is None and report["copies"] is None
    assert report["splits"]["train"]["pictures"] is None
    assert "Pictures were not read." in text and "more than once" not in text and "pixels" not in text


def test_a_class_that_training_does_not_know_is_said(root: Path, inspect: Inspect) -> None:
    shutil.copytree(root / "val/cat", root / "val/cow")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert "holds the class cow, which training does not know" in report["not_read"]["val"]
    assert report["not_read"]["val"] in text
    assert report["stops"] == [f"val could not be read: {report['not_read']['val']}"]


def test_data_of_ones_own_and_pixels_without_files(inspect: Inspect) -> None:
    text, report = inspect(f"--data={__name__}.Numbered")
    assert list(report["splits"]) == ["train", "val", "test"]
    assert [tuple(row.values()) for row in report["copies"]["repeated"]] == [
        ("train", 1, 1),
        ("val", 1, 1),
        ("test", 1, 1),
    ]
    assert [row["images"] for row in report["copies"]["shared"]] == [3, 3, 4]
    assert "train #1 (two) = train #3 (one) = val #0 (one) = val #1 (two)" in text


def test_real_ants_and_bees(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", FOLDERS, f"--data.root={real_data / 'ants_bees'}"])
    text = capsys.readouterr().out
    assert "245 images of 2 classes; fewest 121 (bees), most 124 (ants), 1 to 1.02" in text
    assert "pictures of val that train has as well: none" in text
    assert "broken pictures in val: none" in text
