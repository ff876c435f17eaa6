"""`litmobile inspect` on classification data: classes, image sizes, duplicates, leaks and invalid files."""

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
#: train: two cats, four dogs; val: a cat, a dog; height and width of each image
SIZES = {
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
    """A user's data set that holds pixels instead of files."""

    def read(self, split: str) -> ClassificationSplit:
        pixels = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
        pixels[3 if split == "train" else 0] = pixels[1]
        names, labels = np.array([f"#{k}" for k in range(4)]), np.array([0, 1, 1, 0])
        source, classes = Path(split), ("one", "two")
        return ClassificationSplit(
            source=source, folder=source, names=names, labels=labels, classes=classes, pixels=pixels
        )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folders of noise images, all different."""
    random = np.random.default_rng(0)
    for name, size in SIZES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), random.integers(256, size=(*size, 3), dtype=np.uint8))
    return tmp_path / "data"


def assert_same_classes(text: str, report: Report) -> None:
    """Check that the table of classes equals the JSON file."""
    lines = text.splitlines()
    names = list(report["splits"])
    assert lines[0].split() == ["class", *(cell for name in names for cell in (name, "share"))]
    for k, row in enumerate(report["splits"]["train"]["classes"]):
        counts = [split["classes"][k] for split in report["splits"].values()]
        cells = [cell for count in counts for cell in (str(count["images"]), f"{100 * count['share']:.1f} %")]
        assert re.split(r"\s{2,}", lines[1 + k]) == [row["name"], *cells]


def test_classes_are_counted_in_each_split(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert_same_classes(text, report)
    train, val = report["splits"]["train"], report["splits"]["val"]
    assert [(row["name"], row["images"]) for row in train["classes"]] == [("cat", 2), ("dog", 4)]
    assert (train["images"], train["smallest_class"], train["largest_class"], train["imbalance_ratio"]) == (
        6,
        "cat",
        "dog",
        2.0,
    )
    assert [row["images"] for row in val["classes"]] == [1, 1] and val["imbalance_ratio"] == 1.0
    assert "images: 6\nsmallest class: cat\nlargest class: dog\nimbalance ratio: 2.00\n" in text
    assert "has no folder test" in report["not_read"]["test"] and report["not_read"]["test"] in text
    assert report["blocking_issues"] == []


def test_a_class_without_images_has_no_imbalance_ratio(root: Path, inspect: Inspect) -> None:
    shutil.rmtree(root / "val" / "cat")
    (root / "val" / "cat").mkdir()
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert report["splits"]["val"]["imbalance_ratio"] is None
    assert "images: 1\nsmallest class: cat\nlargest class: dog\nimbalance ratio: –\n" in text
    assert re.search(r"^cat +2 +33\.3 % +0 +0\.0 %$", text, re.MULTILINE)


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
def test_images_smaller_than_the_input_are_counted(
    words: list[str], size: list[int], enlarged: int, root: Path, inspect: Inspect
) -> None:
    text, report = inspect(FOLDERS, f"--data.root={root}", *words)
    assert report["input"]["size"] == size
    found = report["splits"]["train"]
    sizes = [side for name, side in SIZES.items() if name.startswith("train")]
    for k, side in enumerate(("height", "width")):
        expected = np.percentile([size[k] for size in sizes], (1, 10, 50, 90, 99)).tolist()
        assert list(found[f"image_{side}"].values()) == expected
        row = next(line for line in text.splitlines() if line.startswith(f"image {side}: "))
        shown = re.findall(r"([\d.]+) \((\d+) %\)", row)
        assert [float(value) for value, _ in shown] == [round(value, 2) for value in expected]
        assert [rank for _, rank in shown] == ["1", "10", "50", "90", "99"]
    assert sorted((size["height"], size["width"]) for size in found["image_sizes"]) == sorted(sizes)
    assert found["images_enlarged_to_fill_input"] == enlarged
    assert f"images enlarged to fill input: {enlarged}\nenlarged share: {100 * enlarged / 6:.1f} %\n" in text
    assert f"network input: {size[1]}×{size[0]} pixels" in text


def test_leaks_across_splits_are_named(root: Path, inspect: Inspect) -> None:
    shutil.copy(root / "train/cat/a.png", root / "val/cat/again.png")
    shutil.copy(root / "train/cat/b.png", root / "val/dog/other class.png")
    shutil.copytree(root / "val", root / "test")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    leaks = [tuple(row.values()) for row in report["duplicates"]["leaks"]]
    assert leaks == [("val", "train", 2, 0.5, 1), ("test", "train", 2, 0.5, 1), ("test", "val", 4, 1.0, 0)]
    assert "images of val that are also in train: 2 (50.0 %), 1 of them with a different class" in text
    assert "train cat/b.png (cat) = val dog/other class.png (dog) = test dog/other class.png (dog)" in text
    assert [len(group) for group in report["duplicates"]["groups"]] == [3, 3, 2, 2]


def test_look_alikes_across_splits_are_counted(root: Path, inspect: Inspect) -> None:
    """A mirrored and enlarged copy has no equal pixels."""
    cells = Image.fromarray(np.random.default_rng(9).integers(256, size=(6, 8, 3), dtype=np.uint8)).resize((90, 60))
    cells.save(root / "train/cat/video.png")
    cells.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((180, 140)).save(root / "val/dog/copy.jpg")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    (row,) = report["near_duplicates"]
    assert (row["split"], row["earlier"], row["images"], row["share"]) == ("val", "train", 1, 1 / 3)
    assert row["examples"] == [{"name": "dog/copy.jpg", "earlier": "cat/video.png"}]
    assert "images of val that look like one of train: 1 (33.3 %)\n  dog/copy.jpg ~ cat/video.png" in text
    assert report["duplicates"]["groups"] == []


def test_duplicates_within_a_split_are_named(root: Path, inspect: Inspect) -> None:
    shutil.copy(root / "train/cat/a.png", root / "train/dog/cat.png")
    shutil.copy(root / "train/dog/a.png", root / "train/dog/again.png")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [tuple(row.values()) for row in report["duplicates"]["within_splits"]] == [("train", 2, 1), ("val", 0, 0)]
    assert "images that train contains twice or more: 2, 1 of them with a different class" in text
    assert "images that val contains twice or more: none" in text
    assert "  train cat/a.png (cat) = train dog/cat.png (dog)" in text
    assert "images of val that are also in train: none" in text


def test_duplicates_have_equal_pixels_and_shape(root: Path, inspect: Inspect) -> None:
    """The file format does not matter; the same bytes in another shape are another image."""
    with Image.open(root / "train/cat/a.png") as image:
        image.save(root / "val/cat/same.bmp")
        Image.fromarray(np.array(image).reshape(400, 300, 3)).save(root / "val/cat/turned.png")
    _, report = inspect(FOLDERS, f"--data.root={root}")
    (group,) = report["duplicates"]["groups"]
    assert [image["name"] for image in group] == ["cat/a.png", "cat/same.bmp"]


def test_few_duplicates_are_printed_but_all_are_in_json(root: Path, inspect: Inspect) -> None:
    for k in range(11):
        shutil.copy(root / "train/cat/a.png", root / f"train/cat/z{k:02}.png")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [len(group) for group in report["duplicates"]["groups"]] == [12]
    assert "train cat/z06.png (cat) = and 4 more" in text and "z07" not in text


def test_unreadable_files_are_named_and_not_measured(root: Path, inspect: Inspect) -> None:
    for name in ("train/cat/broken.png", "train/dog/broken.png"):
        (root / name).write_text("not an image")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert [len(faults) for faults in report["invalid_images"].values()] == [2, 0]
    assert report["blocking_issues"] == [
        "2 of 8 images of train cannot be used; leave them out with --data.on_invalid=skip."
    ]
    assert inspect(FOLDERS, f"--data.root={root}", "--data.on_invalid=skip")[1]["blocking_issues"] == []
    for fault in report["invalid_images"]["train"]:
        assert "broken.png cannot be read as an image" in fault and fault in text
    assert report["duplicates"]["groups"] == []
    assert sum(size["images"] for size in report["splits"]["train"]["image_sizes"]) == 6
    assert report["splits"]["train"]["images"] == 8


def test_no_images_reads_only_labels(root: Path, inspect: Inspect) -> None:
    (root / "train/cat/broken.png").write_text("not an image")
    text, report = inspect(FOLDERS, f"--data.root={root}", "--no-images")
    assert_same_classes(text, report)
    assert report["invalid_images"] is None and report["duplicates"] is None
    assert not {"image_sizes", "image_width", "enlarged_share"} & set(report["splits"]["train"])
    assert "Images were not read." in text and "twice or more" not in text and "image width" not in text


def test_a_class_unknown_to_training_is_reported(root: Path, inspect: Inspect) -> None:
    shutil.copytree(root / "val/cat", root / "val/cow")
    text, report = inspect(FOLDERS, f"--data.root={root}")
    assert "contains the folder cow, which is not one of the training classes" in report["not_read"]["val"]
    assert report["not_read"]["val"] in text
    assert report["blocking_issues"] == [f"val cannot be read: {report['not_read']['val']}"]


def test_a_users_own_data_set_of_pixels(inspect: Inspect) -> None:
    text, report = inspect(f"--data={__name__}.Numbered")
    assert list(report["splits"]) == ["train", "val", "test"]
    assert [tuple(row.values()) for row in report["duplicates"]["within_splits"]] == [
        ("train", 1, 1),
        ("val", 1, 1),
        ("test", 1, 1),
    ]
    assert [row["images"] for row in report["duplicates"]["leaks"]] == [3, 3, 4]
    assert "train #1 (two) = train #3 (one) = val #0 (one) = val #1 (two)" in text


def test_real_ants_and_bees(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", FOLDERS, f"--data.root={real_data / 'ants_bees'}"])
    text = capsys.readouterr().out
    assert "images: 245\nsmallest class: bees\nlargest class: ants\nimbalance ratio: 1.02\n" in text
    assert "images of val that are also in train: none" in text
    assert "invalid in val: none" in text
