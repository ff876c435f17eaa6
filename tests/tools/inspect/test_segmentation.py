"""`litmobile inspect` on segmentation data: pixels and extent of classes, weights, duplicates, invalid files."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from litmobile.tasks.segmentation import FolderSegmentation, PixelLoss, SegmentationDataModule, SegmentationSplit
from litmobile.tasks.segmentation.masks import ValueMaskReader, Labels
from litmobile.tools.cli import main
from litmobile.tools.inspect.segmentation import measure_extent
from support.cli import Inspect, Report

FOLDER = "--data=FolderSegmentation"
MODEL = ("--model=SegmentationTask", "--model.backbone=MobileNetV2", "--model.backbone.width=0.35")
SIDE = 64
CLASSES = ("road", "pole", "cow")
VALUES = "--data.values=[0,1,2]"  # masks are not read to find their values


def write_pair(root: Path, name: str, labels: Labels, seed: int) -> None:
    """Write an image of noise, drawn with ``seed``, and its mask."""
    noise = np.random.default_rng(seed).integers(256, size=(*labels.shape, 3), dtype=np.uint8)
    for kind, pixels in (("images", noise), ("masks", labels)):
        path = root / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)


def road(poles: int, unlabelled: int) -> Labels:
    """A mask of road with ``poles`` poles of 2×32 pixels, and ``unlabelled`` rows without a class."""
    labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for k in range(poles):
        labels[:32, 8 * k : 8 * k + 2] = 1
    labels[SIDE - unlabelled :] = 255
    return labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Train: roads with 1, 3 and no poles; val: a road with a pole and an unlabelled mask; no cow anywhere."""
    folder = tmp_path / "data"
    for seed, (name, labels) in enumerate(
        {
            "train/a": road(1, 0),
            "train/b": road(3, 16),
            "train/c": road(0, 0),
            "val/a": road(1, 32),
            "val/b": road(0, 64),
        }.items()
    ):
        write_pair(folder, name, labels, seed)
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


def rows(text: str, first: str) -> list[list[str]]:
    """Cells after the first of all rows that begin with ``first``."""
    return [re.split(r"\s{2,}", line)[1:] for line in text.splitlines() if re.match(rf"{re.escape(first)}\s\s", line)]


def assert_same_figures(text: str, report: Report) -> None:
    """Check that every row of every table equals the JSON file."""
    splits = report["splits"].values()
    weights = (report["class_weights"] or {}).values()
    for k, name in enumerate(row["name"] for row in report["splits"]["train"]["classes"]):
        found = [split["classes"][k] for split in splits]
        shares = [f"{100 * row['share']:.2f} %" if row["pixels"] else "–" for row in found]
        first, *others = rows(text, name)
        assert first == [*shares, *(f"{each[k]:.2f}" for each in weights)]
        for split, row, shown in zip(splits, found, others, strict=True):
            images = sum(size["images"] for size in split["image_sizes"])
            of_images = f"{100 * row['images'] / images:.1f} %" if images else "–"
            area = [f"{row['area'][rank]:.0f}" if row["area"] else "–" for rank in ("10", "50", "90")]
            width = [f"{row['width'][rank]:.1f}" if row["width"] else "–" for rank in ("10", "50", "90")]
            assert shown == [str(row["images"]), of_images, *area, *width]
    unlabelled = [f"{100 * split['unlabelled_share']:.2f} %" for split in splits]
    assert rows(text, "(no class)") == [[*unlabelled, *("–" for _ in weights)]]


def test_pixels_are_counted_in_each_split(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert_same_figures(text, report)
    train, val = report["splits"]["train"], report["splits"]["val"]
    all_pixels, labelled = 3 * SIDE**2, 3 * SIDE**2 - 16 * SIDE
    assert [row["pixels"] for row in train["classes"]] == [labelled - 4 * 64, 4 * 64, 0]
    assert [row["share"] for row in train["classes"]] == [(labelled - 256) / labelled, 256 / labelled, 0]
    assert [row["images"] for row in train["classes"]] == [3, 2, 0]
    assert [row["images"] for row in val["classes"]] == [1, 1, 0]
    assert train["unlabelled_share"] == 16 * SIDE / all_pixels and val["unlabelled_share"] == 0.75
    assert train["image_sizes"] == [{"height": SIDE, "width": SIDE, "images": 3}]
    assert "images: 3\nimage sizes, width×height: 64×64 (3)\n" in text
    assert report["blocking_issues"] == []


def test_absent_classes_and_unlabelled_images_are_named(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert text.count("classes without pixels: 1\n  cow\n") == 2
    assert [split["images_without_labels"] for split in report["splits"].values()] == [[], ["b.png"]]
    assert "images without labels: none" in text and "images without labels: 1\n  b.png" in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("words", "size", "area", "width"),
    [
        (["--size", "64", "64"], [64, 64], 64, 2),
        (["--size", "128", "256"], [128, 256], 4 * 64, 4),  # padded: the aspect ratio stays
        ([], [512, 512], 64 * 64, 16),
        ([*MODEL, "--model.preprocessing.size=[64,256]", "--model.preprocessing.fit=stretch"], [64, 256], 256, 8),
        ([*MODEL, "--model.preprocessing.size=[32,32]"], [32, 32], 16, 1),
    ],
)
def test_classes_are_measured_in_the_network_input(
    words: list[str], size: list[int], area: int, width: int, root: Path, inspect: Inspect
) -> None:
    """Area and width are of one pole in ``size``, in pixels."""
    text, report = inspect(FOLDER, f"--data.root={root}", *words)
    assert_same_figures(text, report)
    assert report["input"]["size"] == size and f"network input: {size[1]}×{size[0]} pixels" in text
    train, val = (report["splits"][name]["classes"][1] for name in ("train", "val"))
    assert train["area"]["50"] == pytest.approx(2 * area / 64), "the median of one pole and three"
    assert val["area"] == dict.fromkeys(("1", "10", "50", "90", "99"), area / 64)
    assert set(train["width"].values()) == set(val["width"].values()) == {width / 8}
    for split in report["splits"].values():
        assert split["thin_classes"] == (["pole"] if width <= 8 else [])
    assert text.count("thin classes: 1\n  pole\n") == (2 if width <= 8 else 0)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (12, 7), (7, 12)])
def test_class_width_is_the_median_shorter_run_length(shape: tuple[int, int]) -> None:
    labels = np.random.default_rng(sum(shape)).choice(np.array([0, 1, 255], np.uint8), size=shape, p=(0.7, 0.2, 0.1))
    labels[0, 0] = 0

    def run_length(line: Labels, at: int) -> int:
        others = np.flatnonzero(line != line[at])
        return int(others[others > at].min(initial=len(line)) - others[others < at].max(initial=-1) - 1)

    area, width = measure_extent(labels, 3)
    for label in range(3):
        places = np.argwhere(labels == label)
        each = sorted(
            min(run_length(labels[row], column), run_length(labels[:, column], row)) for row, column in places
        )
        assert area[label] == len(each)
        assert width[label] == (each[(len(each) - 1) // 2] if each else 0)


def test_class_width_is_the_lower_median() -> None:
    labels = np.full((6, 8), 255, dtype=np.uint8)
    labels[0, ::2] = 0  # four single pixels
    labels[3:5, 3:5] = 0
    area, width = measure_extent(labels, 1)
    assert (area.tolist(), width.tolist()) == ([8], [1])


def test_class_weights_equal_those_of_training(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    pixels = FolderSegmentation(str(root)).read("train").count_pixels()
    assert list(report["class_weights"]) == ["median_frequency", "log_frequency"]
    for rule, weights in report["class_weights"].items():
        loss = PixelLoss(rule)
        loss.prepare(CLASSES, torch.device("cpu"), pixels)
        assert loss.weights is not None and loss.weights.tolist() == weights
        flags = text.partition(f"\n{rule}:\n")[2].splitlines()[0]
        numbers = [float(number) for number in flags.partition("=[")[2].rstrip("]").split(",")]
        assert numbers == pytest.approx(weights, rel=1e-3)
    _, again = inspect(FOLDER, f"--data.root={root}", *MODEL, *shlex.split(flags))
    assert again["class_weights"] == report["class_weights"], "the flags are valid options of a training"


def test_invalid_masks_are_named_and_not_measured(root: Path, inspect: Inspect) -> None:
    whole = inspect(FOLDER, f"--data.root={root}")[1]["splits"]["train"]
    strange = road(1, 0)
    strange[5, 7] = 77
    write_pair(root, "train/strange", strange, 10)
    write_pair(root, "train/unlike", road(1, 0), 11)
    cv2.imwrite(str(root / "masks/train/unlike.png"), road(1, 0)[:40])
    write_pair(root, "train/rgb", road(1, 0), 12)
    shutil.copy(root / "images/train/rgb.png", root / "masks/train/rgb.png")
    write_pair(root, "train/torn", road(1, 0), 13)
    image = root / "images/train/torn.png"
    image.write_bytes(image.read_bytes()[:-100])
    write_pair(root, "train/alone", road(1, 0), 14)
    (root / "masks/train/alone.png").unlink()
    text, report = inspect(FOLDER, f"--data.root={root}", VALUES)
    rgb, odd, torn, unlike = report["invalid_images"]["train"]
    assert "masks/train/rgb.png" in rgb and "3 channels" in rgb
    assert "masks/train/strange.png holds the value 77 (row 5, column 7)" in odd
    assert "images/train/torn.png cannot be read as an image" in torn
    assert "unlike.png is 64×64 pixels, but its mask" in unlike and "is 64×40." in unlike
    train = report["splits"]["train"]
    assert all(sentence in text for sentence in (rgb, odd, torn, unlike, *train["notes"]))
    assert "invalid in train: 4" in text and "invalid in val: none" in text
    assert len(train["notes"]) == 1 and "1 image in" in train["notes"][0] and "alone.png" in train["notes"][0]
    assert train["images"] == 7
    unpaired, invalid = report["blocking_issues"]
    assert "There is 1 image in" in unpaired and "alone.png" in unpaired
    assert invalid == "4 of 7 images of train cannot be used; leave them out with --data.on_invalid=skip."
    assert inspect(FOLDER, f"--data.root={root}", VALUES, "--data.on_invalid=skip")[1]["blocking_issues"] == []
    assert {**train, "images": 3, "notes": []} == whole


def test_leaks_and_their_different_masks_are_named(root: Path, inspect: Inspect) -> None:
    for name, source, mask in (("val/same", "train/a", "train/a"), ("val/other", "train/b", "train/c")):
        shutil.copy(root / f"images/{source}.png", root / f"images/{name}.png")
        shutil.copy(root / f"masks/{mask}.png", root / f"masks/{name}.png")
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert [tuple(row.values()) for row in report["duplicates"]["leaks"]] == [("val", "train", 2, 0.5, 1)]
    assert "images of val that are also in train: 2 (50.0 %), 1 of them with a different mask" in text
    assert "  train a.png = val same.png\n" in text
    assert "  train b.png = val other.png, with different masks\n" in text
    assert "images that train contains twice or more: none" in text


def test_no_images_still_reads_masks(root: Path, inspect: Inspect) -> None:
    whole = inspect(FOLDER, f"--data.root={root}")[1]
    for file in ("images/val/a.png", "masks/train/d.png", "images/train/d.png"):
        (root / file).write_text("not an image")
    text, report = inspect(FOLDER, f"--data.root={root}", VALUES, "--no-images")
    assert_same_figures(text, report)
    assert report["duplicates"] is None and "Images were not read." in text and "twice or more" not in text
    assert [len(faults) for faults in report["invalid_images"].values()] == [1, 0]
    assert "invalid in train: 1\n" in text and "masks/train/d.png cannot be read as a mask" in text
    assert report["splits"]["val"] == whole["splits"]["val"] and report["class_weights"] == whole["class_weights"]


def test_a_split_without_readable_masks_has_no_figures(root: Path, inspect: Inspect) -> None:
    for file in (root / "masks/train").iterdir():
        cv2.imwrite(str(file), np.full((SIDE, SIDE), 9, dtype=np.uint8))
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert_same_figures(text, report)
    assert len(report["invalid_images"]["train"]) == 3 and report["class_weights"] is None
    assert "PixelLoss" not in text and "nan" not in text
    assert [row["images"] for row in report["splits"]["val"]["classes"]] == [1, 1, 0]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
@pytest.mark.parametrize("options", [[], ["--no-images"]], ids=str)
def test_a_split_without_labels_blocks_training(
    options: list[str], on_invalid: str, split: str, root: Path, inspect: Inspect
) -> None:
    for file in (root / "masks" / split).iterdir():
        cv2.imwrite(str(file), np.full((SIDE, SIDE), 255, dtype=np.uint8))
    report = inspect(FOLDER, f"--data.root={root}", f"--data.on_invalid={on_invalid}", *options)[1]
    assert report["blocking_issues"] == [f"No pixel of {root / 'masks' / split} has a class: all of them are ignored."]


def test_cropping_preprocessing_is_refused(
    root: Path, inspect: Inspect, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(SystemExit) as caught:
        inspect(FOLDER, f"--data.root={root}", *MODEL, "--model.preprocessing.fit=crop")
    assert_one_sentence(caught.value, "preprocessing.fit is crop", "stretch or pad")


class Disagreeing(SegmentationDataModule):
    """A user's data set whose splits have different classes."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root

    def read(self, split: str) -> SegmentationSplit:
        names, folder = np.array(["a.png"]), Path(self.root)
        classes = ("road", "pole") if split == "train" else ("road", "stick")
        images, masks = folder / "images" / split, folder / "masks" / split
        return SegmentationSplit(
            source=images,
            folder=images,
            names=names,
            classes=classes,
            mask_folder=masks,
            mask_names=names,
            read_mask=ValueMaskReader(range(2)),
        )


def test_a_users_data_set_with_contradicting_splits(root: Path, inspect: Inspect) -> None:
    text, report = inspect(f"--data={__name__}.Disagreeing", f"--data.root={root}")
    assert "have different classes" in report["blocking_issues"][0]
    (pole, *_), (stick, *_) = rows(text, "pole"), rows(text, "stick")
    assert pole[1:3] == ["–", "–"] and stick[0] == "–"
    assert stick[-2:] == ["–", "–"], "training has no weight for it"
    assert "test/a.png does not exist" in report["invalid_images"]["test"][0]


def test_real_camvid(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", "--data=CamVid", f"--data.root={real_data / 'camvid'}", "--no-images", "--size", "360", "480"])
    text = capsys.readouterr().out
    assert "images: 367\nimage sizes, width×height: 480×360 (367)\n" in text
    (shares, train, val) = rows(text, "Pole")
    assert shares == ["1.02 %", "0.57 %", "4.79", "33.57"]
    assert train[:2] == ["366", "99.7 %"] and val[:2] == ["101", "100.0 %"]
    assert "classes without pixels: none" in text
    assert "invalid in val: none" in text
