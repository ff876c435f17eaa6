"""`litmobile inspect` on images with masks: pixels of classes, their extent, weights, copies, what cannot be used."""

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
from litmobile.tasks.segmentation.masks import ByValue, Labels
from litmobile.tools.cli import main
from litmobile.tools.inspect.segmentation import areas_and_widths
from support.cli import Inspect, Report

FOLDER = "--data=FolderSegmentation"
MODEL = ("--model=SegmentationTask", "--model.backbone=MobileNetV2", "--model.backbone.width=0.35")
SIDE = 64
CLASSES = ("road", "pole", "cow")
VALUES = "--data.values=[0,1,2]"  # nothing is asked of the masks then


def write_pair(root: Path, name: str, labels: Labels, seed: int) -> None:
    """Write a picture of noise, which ``seed`` draws, and its mask."""
    noise = np.random.default_rng(seed).integers(256, size=(*labels.shape, 3), dtype=np.uint8)
    for kind, pixels in (("images", noise), ("masks", labels)):
        path = root / kind / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels)


def road(poles: int, unlabelled: int) -> Labels:
    """A mask of road with so many poles, 2 pixels wide and 32 high, over so many rows without a class."""
    labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for k in range(poles):
        labels[:32, 8 * k : 8 * k + 2] = 1
    labels[SIDE - unlabelled :] = 255
    return labels


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Train: roads with 1, 3 and no poles; val: a road with a pole and one with nothing; no cow anywhere."""
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
    """The rows that begin with ``first``, cut where two spaces or more stand."""
    return [re.split(r"\s{2,}", line)[1:] for line in text.splitlines() if re.match(rf"{re.escape(first)}\s\s", line)]


def assert_same_figures(text: str, report: Report) -> None:
    """Check that every row of every table says what the JSON file says."""
    splits = report["splits"].values()
    weights = (report["class_weights"] or {}).values()
    for k, name in enumerate(row["name"] for row in report["splits"]["train"]["classes"]):
        found = [split["classes"][k] for split in splits]
        shares = [f"{100 * row['share']:.2f} %" if row["pixels"] else "–" for row in found]
        first, *others = rows(text, name)
        assert first == [*shares, *(f"{each[k]:.2f}" for each in weights)]
        for split, row, shown in zip(splits, found, others, strict=True):
            images = sum(size["images"] for size in split["sizes"])
            of_images = f"{100 * row['images'] / images:.1f} %" if images else "–"
            area = [f"{row['area'][rank]:.0f}" if row["area"] else "–" for rank in ("10", "50", "90")]
            width = [f"{row['width'][rank]:.1f}" if row["width"] else "–" for rank in ("10", "50", "90")]
            assert shown == [str(row["images"]), of_images, *area, *width]
    assert rows(text, "(no class)") == [[f"{100 * split['unlabelled']:.2f} %" for split in splits]]


def test_pixels_are_counted_split_by_split(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert_same_figures(text, report)
    train, val = report["splits"]["train"], report["splits"]["val"]
    all_pixels, labelled = 3 * SIDE**2, 3 * SIDE**2 - 16 * SIDE
    assert [row["pixels"] for row in train["classes"]] == [labelled - 4 * 64, 4 * 64, 0]
    assert [row["share"] for row in train["classes"]] == [(labelled - 256) / labelled, 256 / labelled, 0]
    assert [row["images"] for row in train["classes"]] == [3, 2, 0]
    assert [row["images"] for row in val["classes"]] == [1, 1, 0]
    assert train["unlabelled"] == 16 * SIDE / all_pixels and val["unlabelled"] == 0.75
    assert train["sizes"] == [{"height": SIDE, "width": SIDE, "images": 3}]
    assert "3 images of 3 classes; width×height: 64×64 (3)" in text
    assert report["stops"] == []


def test_what_no_image_shows_and_what_has_no_label_is_named(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert text.count("classes that no image shows: cow\n") == 2
    assert [split["empty"] for split in report["splits"].values()] == [[], ["b.png"]]
    assert "images without a labelled pixel: none" in text and "images without a labelled pixel: 1\n  b.png" in text
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
def test_classes_are_measured_where_the_network_sees_them(
    words: list[str], size: list[int], area: int, width: int, root: Path, inspect: Inspect
) -> None:
    """Area and width are of one pole in ``size``, in pixels."""
    text, report = inspect(FOLDER, f"--data.root={root}", *words)
    assert_same_figures(text, report)
    assert report["input"]["size"] == size and f"pixels of the {size[1]}×{size[0]} input" in text
    train, val = (report["splits"][name]["classes"][1] for name in ("train", "val"))
    assert train["area"]["50"] == pytest.approx(2 * area / 64), "the median of one pole and three"
    assert val["area"] == dict.fromkeys(("1", "10", "50", "90", "99"), area / 64)
    assert set(train["width"].values()) == set(val["width"].values()) == {width / 8}
    narrow = f"classes that are no wider than a cell in half of their images: pole ({width / 8:.1f})"
    assert (narrow in text) == (width <= 8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (12, 7), (7, 12)])
def test_the_width_of_a_class_is_the_median_of_its_pixels_shorter_stretches(shape: tuple[int, int]) -> None:
    labels = np.random.default_rng(sum(shape)).choice(np.array([0, 1, 255], np.uint8), size=shape, p=(0.7, 0.2, 0.1))
    labels[0, 0] = 0

    def stretch(line: Labels, at: int) -> int:
        apart = np.flatnonzero(line != line[at])
        return int(apart[apart > at].min(initial=len(line)) - apart[apart < at].max(initial=-1) - 1)

    area, width = areas_and_widths(labels, 3)
    for label in range(3):
        places = np.argwhere(labels == label)
        each = sorted(min(stretch(labels[row], column), stretch(labels[:, column], row)) for row, column in places)
        assert area[label] == len(each)
        assert width[label] == (each[(len(each) - 1) // 2] if each else 0)


def test_of_two_widths_in_the_middle_the_smaller_counts() -> None:
    labels = np.full((6, 8), 255, dtype=np.uint8)
    labels[0, ::2] = 0  # four lone pixels
    labels[3:5, 3:5] = 0
    area, width = areas_and_widths(labels, 1)
    assert (area.tolist(), width.tolist()) == ([8], [1])


def test_weights_are_those_that_a_training_computes(root: Path, inspect: Inspect) -> None:
    text, report = inspect(FOLDER, f"--data.root={root}")
    pixels = FolderSegmentation(str(root)).read("train").pixels()
    assert list(report["class_weights"]) == ["median_frequency", "log_frequency"]
    for rule, weights in report["class_weights"].items():
        loss = PixelLoss(rule)
        loss.prepare(CLASSES, torch.device("cpu"), pixels)
        assert loss.weights is not None and loss.weights.tolist() == weights
        flags = text.partition(f"\n{rule}:\n")[2].splitlines()[0]
        numbers = [float(number) for number in flags.partition("=[")[2].rstrip("]").split(",")]
        assert numbers == pytest.approx(weights, rel=1e-3)
    _, again = inspect(FOLDER, f"--data.root={root}", *MODEL, *shlex.split(flags))
    assert again["class_weights"] == report["class_weights"], "the flags are a training's"


def test_all_that_cannot_be_used_is_named_and_counted_nowhere_else(root: Path, inspect: Inspect) -> None:
    whole = inspect(FOLDER, f"--data.root={root}")[1]["splits"]["train"]
    strange = road(1, 0)
    strange[5, 7] = 77
    write_pair(root, "train/strange", strange, 10)
    write_pair(root, "train/unlike", road(1, 0), 11)
    cv2.imwrite(str(root / "masks/train/unlike.png"), road(1, 0)[:40])
    write_pair(root, "train/rgb", road(1, 0), 12)
    shutil.copy(root / "images/train/rgb.png", root / "masks/train/rgb.png")
    write_pair(root, "train/torn", road(1, 0), 13)
    picture = root / "images/train/torn.png"
    picture.write_bytes(picture.read_bytes()[:-100])
    write_pair(root, "train/alone", road(1, 0), 14)
    (root / "masks/train/alone.png").unlink()
    text, report = inspect(FOLDER, f"--data.root={root}", VALUES)
    rgb, odd, torn, unlike = report["broken"]["train"]
    assert "masks/train/rgb.png" in rgb and "3 channels" in rgb
    assert "masks/train/strange.png holds the value 77 (row 5, column 7)" in odd
    assert "images/train/torn.png cannot be read as a picture" in torn
    assert "unlike.png is 64×64 pixels, but its mask" in unlike and "is 64×40." in unlike
    train = report["splits"]["train"]
    assert all(sentence in text for sentence in (rgb, odd, torn, unlike, *train["notes"]))
    assert "broken masks and pictures in train: 4" in text and "broken masks and pictures in val: none" in text
    assert len(train["notes"]) == 1 and "1 image in" in train["notes"][0] and "alone.png" in train["notes"][0]
    assert train["images"] == 7
    unpaired, broken = report["stops"]
    assert "There is 1 image in" in unpaired and "alone.png" in unpaired
    assert broken == "4 of 7 images of train cannot be used: --data.on_invalid=skip leaves them out."
    assert inspect(FOLDER, f"--data.root={root}", VALUES, "--data.on_invalid=skip")[1]["stops"] == []
    assert {**train, "images": 3, "notes": []} == whole


def test_copies_are_found_by_pixels_and_with_another_mask_are_told(root: Path, inspect: Inspect) -> None:
    for name, source, mask in (("val/same", "train/a", "train/a"), ("val/other", "train/b", "train/c")):
        shutil.copy(root / f"images/{source}.png", root / f"images/{name}.png")
        shutil.copy(root / f"masks/{mask}.png", root / f"masks/{name}.png")
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert [tuple(row.values()) for row in report["copies"]["shared"]] == [("val", "train", 2, 0.5, 1)]
    assert "pictures of val that train has as well: 2 (50.0 %), 1 of them with another mask" in text
    assert "  train a.png = val same.png\n" in text
    assert "  train b.png = val other.png, with different masks\n" in text
    assert "pictures that train has more than once: none" in text


def test_without_pictures_masks_are_read_all_the_same(root: Path, inspect: Inspect) -> None:
    whole = inspect(FOLDER, f"--data.root={root}")[1]
    for file in ("images/val/a.png", "masks/train/d.png", "images/train/d.png"):
        (root / file).write_text("no picture")
    text, report = inspect(FOLDER, f"--data.root={root}", VALUES, "--no-pictures")
    assert_same_figures(text, report)
    assert report["copies"] is None and "Pictures were not read." in text and "more than once" not in text
    assert [len(faults) for faults in report["broken"].values()] == [1, 0]
    assert "broken masks in train: 1\n" in text and "masks/train/d.png cannot be read as a mask" in text
    assert report["splits"]["val"] == whole["splits"]["val"] and report["class_weights"] == whole["class_weights"]


def test_a_split_of_which_nothing_can_be_read_has_no_figures(root: Path, inspect: Inspect) -> None:
    for file in (root / "masks/train").iterdir():
        cv2.imwrite(str(file), np.full((SIDE, SIDE), 9, dtype=np.uint8))
    text, report = inspect(FOLDER, f"--data.root={root}")
    assert_same_figures(text, report)
    assert len(report["broken"]["train"]) == 3 and report["class_weights"] is None
    assert "PixelLoss" not in text and "nan" not in text
    assert [row["images"] for row in report["splits"]["val"]["classes"]] == [1, 1, 0]


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("broken", ["raise", "skip"])
@pytest.mark.parametrize("pictures", [[], ["--no-pictures"]], ids=str)
def test_a_split_without_a_label_would_stop_a_training(
    pictures: list[str], broken: str, split: str, root: Path, inspect: Inspect
) -> None:
    for file in (root / "masks" / split).iterdir():
        cv2.imwrite(str(file), np.full((SIDE, SIDE), 255, dtype=np.uint8))
    report = inspect(FOLDER, f"--data.root={root}", f"--data.on_invalid={broken}", *pictures)[1]
    assert report["stops"] == [
        f"No pixel of {root / 'masks' / split} has a class: all of them hold what counts as none."
    ]


def test_a_network_of_label_maps_sees_all_of_a_picture(
    root: Path, inspect: Inspect, assert_one_sentence: Callable[..., None]
) -> None:
    with pytest.raises(SystemExit) as caught:
        inspect(FOLDER, f"--data.root={root}", *MODEL, "--model.preprocessing.fit=crop")
    assert_one_sentence(caught.value, "preprocessing.fit is crop", "stretch or pad")


class Disagreeing(SegmentationDataModule):
    """A data set of a user's own, whose splits have other classes."""

    def __init__(self, root: str) -> None:
        super().__init__()
        self.root = root

    def read(self, split: str) -> SegmentationSplit:
        names, folder = np.array(["a.png"]), Path(self.root)
        classes = ("road", "pole") if split == "train" else ("road", "stick")
        images, masks = folder / "images" / split, folder / "masks" / split
        return SegmentationSplit(images, images, names, masks, names, classes, ByValue(range(2)))


def test_data_of_ones_own_whose_splits_disagree(root: Path, inspect: Inspect) -> None:
    text, report = inspect(f"--data={__name__}.Disagreeing", f"--data.root={root}")
    assert "have different categories" in report["stops"][0]
    (pole, *_), (stick, *_) = rows(text, "pole"), rows(text, "stick")
    assert pole[1:3] == ["–", "–"] and stick[0] == "–"
    assert stick[-2:] == ["–", "–"], "training knows no weight for it"
    assert "test/a.png does not exist" in report["broken"]["test"][0]


def test_real_streets(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", "--data=CamVid", f"--data.root={real_data / 'camvid'}", "--no-pictures", "--size", "360", "480"])
    text = capsys.readouterr().out
    assert "367 images of 11 classes; width×height: 480×360 (367)" in text
    (shares, train, val) = rows(text, "Pole")
    assert shares == ["1.02 %", "0.57 %", "4.79", "33.57"]
    assert train[:2] == ["366", "99.7 %"] and val[:2] == ["101", "100.0 %"]
    assert "classes that no image shows: none" in text
    assert "broken masks in val: none" in text
