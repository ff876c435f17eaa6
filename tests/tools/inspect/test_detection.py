"""`litmobile inspect` on detection data: text equals JSON, invalid files are named, and no run is started."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from litmobile.tasks.detection import DetectionDataModule, DetectionSplit, ImageRecord, VocDetection
from litmobile.tools.cli import main
from support.cli import SHAPES, TINY, Inspect, Report, get_refusal, run_fit

OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult>"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{0}</xmax><ymax>{1}</ymax></bndbox></object>"
)


class OwnDetection(DetectionDataModule):
    """A user's data set with two splits and without annotation files."""

    def __init__(self, root: str, classes: int = 2) -> None:
        super().__init__()
        self.root, self.count = Path(root), classes

    def read(self, split: str) -> DetectionSplit:
        folder = self.root / split
        names = sorted(path.name for path in folder.iterdir())
        records = [ImageRecord(name, (50, 50), [(0, 0, 25, 25)], [0]) for name in names]
        more = split == "val" and self.count > 2
        return DetectionSplit.from_records(folder, folder, ["one", "two", *(["three"] if more else [])], records)


class OtherVoc(VocDetection):
    """A user's data set with another name for validation."""

    def __init__(self, root: str, train: str = "train", val: str = "held_out", test: str | None = None) -> None:
        super().__init__(root, train=train, val=val, test=test)


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, where a run would be noticed."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Train: an image with a cat and a difficult dog, and an empty one. Val: a cow."""
    root = tmp_path / "VOC"
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    objects = {
        "a": OBJECT.format(60, 40, name="cat", difficult=0) + OBJECT.format(6, 8, name="dog", difficult=1),
        "b": "",
        "c": OBJECT.format(30, 70, name="cow", difficult=0),
    }
    for stem, found in objects.items():
        size = "<size><width>60</width><height>40</height></size>"
        (root / "Annotations" / f"{stem}.xml").write_text(f"<annotation>{size}{found}</annotation>")
        cv2.imwrite(str(root / "JPEGImages" / f"{stem}.jpg"), np.zeros((40, 60, 3), dtype=np.uint8))
    (root / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (root / "ImageSets/Main/val.txt").write_text("c\n")
    return root


def cells(text: str, first: str) -> list[list[str]]:
    """Cells after the first of all rows that begin with ``first``, without percent signs."""
    rows = [re.split(r"\s{2,}", line) for line in text.splitlines() if re.match(rf"{re.escape(first)}\s\s", line)]
    return [[cell.removesuffix(" %") for cell in row[1:]] for row in rows]


def assert_same_figures(text: str, report: Report) -> None:
    """Check that every row of every table equals the JSON file."""
    anchors = report["anchors"]
    measured = [anchors["present"], *([anchors["suggested"]] if anchors["suggested"] else [])]
    for k, name in enumerate([row["name"] for row in anchors["present"]["classes"]] + ["all"]):
        rows = iter(cells(text, name))
        for split in report["splits"].values():
            row = [*split["classes"], split["overall"]][k]
            shares = [f"{100 * row[key]:.1f}" for key in ("share", "small", "medium", "large")]
            if not row["objects"]:
                assert next(rows) == ["0", "–", "0", "0", "–", "–", "–"]
                assert next(rows) == ["–"] * 11
                continue
            assert next(rows) == [
                str(row["objects"]),
                shares[0],
                str(row["images"]),
                str(row["difficult"]),
                *shares[1:],
            ]
            median = f"{row['width']['50']:.0f}×{row['height']['50']:.0f}"
            sizes, aspects = (list(row[key].values()) for key in ("size", "aspect"))
            assert next(rows) == [median, *(f"{x:.1f}" for x in sizes), *(f"{x:.2f}" for x in aspects)]
        both = [[*x["classes"], x["overall"]][k] for x in measured]
        shown = [
            [f"{100 * x['recall']:.1f}", f"{x['iou']:.3f}", f"{x['positives']:.1f}"] if x["objects"] else ["–"] * 3
            for x in both
        ]
        assert next(rows) == [str(both[0]["objects"]), *itertools.chain(*shown)]
        assert not list(rows)


def test_coco_data_with_a_model(shapes: Path, inspect: Inspect, working_folder: Path) -> None:
    text, report = inspect("--config", SHAPES, *TINY, f"--data.root={shapes}")
    assert_same_figures(text, report)
    assert [(name, split["images"]) for name, split in report["splits"].items()] == [("train", 10), ("val", 5)]
    assert "no split named like test" in report["not_read"]["test"] and report["not_read"]["test"] in text
    assert report["input"]["size"] == [64, 64]
    assert report["invalid_images"] == {"train": [], "val": []}
    assert report["blocking_issues"] == [] and report["leaks"] == []
    anchors = report["anchors"]
    assert anchors["grids"] == [[8, 8], [4, 4], [2, 2], [1, 1]]
    assert anchors["present"]["options"]["anchor_scales"] == [0.18, 0.3, 0.5, 0.7, 0.9]
    assert anchors["present"]["anchors"] == 4 * (64 + 16 + 4 + 1)
    assert not anchors["is_published"]
    assert list(working_folder.iterdir()) == [], "no run was started"


def test_suggested_anchors_work_as_flags_and_yaml(shapes: Path, inspect: Inspect, tmp_path: Path) -> None:
    words = ["--config", SHAPES, *TINY, f"--data.root={shapes}", "--no-images"]
    text, report = inspect(*words)
    better = report["anchors"]["suggested"]
    assert better["overall"]["recall"] >= report["anchors"]["present"]["overall"]["recall"]
    before, after = text.split("suggested as YAML")
    flags = shlex.split(before.splitlines()[-1])
    (tmp_path / "mine.yaml").write_text(after.partition("\n")[2])
    assert (
        yaml.safe_load((tmp_path / "mine.yaml").read_text())["model"]["init_args"]["head"]["init_args"]
        == better["options"]
    )
    assert list(better["options"]) == ["anchor_scales", "aspect_ratios", "layout"]
    for more in (flags, ["--config", str(tmp_path / "mine.yaml")]):
        _, again = inspect(*words, *more)
        assert again["anchors"]["present"] == better
        assert again["anchors"]["grids"] == report["anchors"]["grids"], "the rest of the model is unchanged"


def test_voc_data_without_a_model(voc: Path, inspect: Inspect) -> None:
    text, report = inspect("--data=VocDetection", f"--data.root={voc}", "--size", 64, 96)
    assert_same_figures(text, report)
    assert report["input"]["size"] == [64, 96]
    assert report["anchors"]["is_published"] and "published SSDLite (no model is given)" in text
    assert report["anchors"]["grids"] == [[4, 6], [2, 3], [1, 2], [1, 1], [1, 1], [1, 1]]
    cat, cow, dog = report["splits"]["train"]["classes"]
    assert (cat["objects"], cow["objects"], dog["objects"], dog["difficult"]) == (1, 0, 1, 1)
    assert report["splits"]["val"]["notes"][0].endswith("1 box clipped to their image, in training and evaluation.")
    assert report["splits"]["val"]["notes"][0] in text


def test_all_invalid_files_are_named(voc: Path, inspect: Inspect) -> None:
    names = [f"n{k}" for k in range(12)]  # more than training prints
    for name in names:
        (voc / "Annotations" / f"{name}.xml").write_text("no xml")
    (voc / "ImageSets/Main/train.txt").write_text("\n".join(["a", "b", *names]))
    image = voc / "JPEGImages" / "b.jpg"
    image.write_bytes(image.read_bytes()[:-30])
    cv2.imwrite(str(voc / "JPEGImages" / "c.jpg"), np.zeros((60, 40, 3), dtype=np.uint8))
    words = ["--data=VocDetection", f"--data.root={voc}"]
    text, report = inspect(*words)
    for name in names:
        assert f"{name}.xml is not an XML file" in text
    assert len(report["splits"]["train"]["notes"]) == 12
    assert "b.jpg cannot be read" in report["invalid_images"]["train"][0]
    assert "c.jpg is 40×60 pixels, but its annotations say 60×40" in report["invalid_images"]["val"][0]
    assert all(fault in text for fault in report["invalid_images"]["train"] + report["invalid_images"]["val"])
    unread, train, val = report["blocking_issues"]
    assert "n0.xml is not an XML file" in unread
    assert train == "1 of 2 images of train cannot be used; leave them out with --data.on_invalid=skip."
    assert val == f"None of the 1 images of val can be used: {report['invalid_images']['val'][0]}"
    assert inspect(*words, "--data.on_invalid=skip")[1]["blocking_issues"] == [val]
    text, report = inspect(*words, "--no-images")
    assert report["invalid_images"] is None and "Images were not read" in text
    assert report["blocking_issues"] == [unread]


def test_leaks_and_duplicate_objects_are_named(voc: Path, inspect: Inspect) -> None:
    (voc / "ImageSets/Main/val.txt").write_text("c\na\n")
    file = voc / "Annotations" / "a.xml"
    file.write_text(
        file.read_text().replace("</annotation>", OBJECT.format(60, 39, name="cat", difficult=0)) + "</annotation>"
    )
    text, report = inspect("--data=VocDetection", f"--data.root={voc}", "--no-images")
    assert "a.jpg in train and val" in text and report["leaks"] == [
        {"name": "JPEGImages/a.jpg", "splits": ["train", "val"]}
    ]
    assert "a.jpg: cat at 0, 0, 60, 40 and at 0, 0, 60, 39, IoU 0.97" in text
    assert [len(split["duplicate_objects"]) for split in report["splits"].values()] == [1, 1]


def test_a_missing_split_is_a_blocking_issue(voc: Path, inspect: Inspect) -> None:
    text, report = inspect("--data=VocDetection", f"--data.root={voc}", "--data.train=absent", "--data.test=train")
    assert report["blocking_issues"] == [f"train cannot be read: {report['not_read']['train']}"]
    assert list(report["splits"]) == ["val", "test"]
    assert "has no split 'absent'" in text
    assert report["anchors"]["split"] == "val"


def test_a_split_without_objects_has_no_anchor_figures(voc: Path, inspect: Inspect) -> None:
    (voc / "ImageSets/Main/train.txt").write_text("b\n")
    text, report = inspect("--data=VocDetection", f"--data.root={voc}")
    assert report["splits"]["train"]["overall"]["objects"] == 0
    assert "no objects to measure anchors on" in report["anchors"] and report["anchors"] in text


def test_a_users_own_data_set(shapes: Path, inspect: Inspect) -> None:
    words = [f"--data={__name__}.OwnDetection", f"--data.root={shapes}"]
    _, report = inspect(*words)
    assert [split["images"] for split in report["splits"].values()] == [10, 5]
    assert "No such file" in report["not_read"]["test"]
    assert len(report["invalid_images"]["train"]) > 0  # its sizes are wrong
    assert report["blocking_issues"] == [
        f"None of the {n} images of {name} can be used: {report['invalid_images'][name][0]}"
        for name, n in (("train", 10), ("val", 5))
    ]
    contradiction, *_ = inspect(*words, "--data.classes=3")[1]["blocking_issues"]
    assert "have different classes" in contradiction


def test_other_data_for_a_run_uses_its_own_default_splits(shapes: Path, voc: Path, inspect: Inspect) -> None:
    run_fit(shapes, "--run", "first", "--trainer.max_epochs=1")
    (voc / "ImageSets/Main/val.txt").rename(voc / "ImageSets/Main/held_out.txt")
    report = inspect("--run", "first", f"--data={__name__}.OtherVoc", f"--data.root={voc}")[1]
    assert [split["images"] for split in report["splits"].values()] == [2, 1] and report["blocking_issues"] == []


def test_a_runs_configuration_is_enough(shapes: Path, inspect: Inspect, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", SHAPES, *TINY, f"--data.root={shapes}", "--print_config"])
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(capsys.readouterr().out)
    _, report = inspect("--run", run, "--no-images", "--data.val=train")
    assert report["input"]["size"] == [64, 64]
    assert len(report["leaks"]) == 10 and report["splits"]["val"]["images"] == 10
    assert [file.name for file in run.iterdir()] == ["config.yaml"]


def test_anchors_are_measured_on_a_sample_of_many_objects(
    shapes: Path, inspect: Inspect, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--data=CocoDetection", f"--data.root={shapes}", "--data.train=train", "--data.val=val", "--no-images"]
    everything = inspect(*words)[1]["splits"]["train"]["overall"]["objects"]
    monkeypatch.setattr("litmobile.tasks.detection.anchors.MAX_OBJECTS", everything // 2)
    text, report = inspect(*words)
    assert report["anchors"]["image_step"] == 2 + everything % 2
    assert 0 < report["anchors"]["present"]["overall"]["objects"] < everything
    assert f"one image in {report['anchors']['image_step']} of train" in text


def test_a_head_without_anchors_is_reported(shapes: Path, inspect: Inspect) -> None:
    words = [
        "--config",
        SHAPES,
        *TINY,
        f"--data.root={shapes}",
        "--model.head=support.custom_heads.EmptyHead",
        "--no-images",
    ]
    text, report = inspect(*words, "--model.feature_maps=[c3,c4]")
    assert report["anchors"] == "EmptyHead has no anchors." and report["anchors"] in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config", "detection/nothing"], "litmobile: There is no configuration 'detection/nothing'"),
        (["--config", SHAPES, "--data.root=/nowhere"], "litmobile: There is no data folder /nowhere"),
        (["--config", SHAPES, "--size", "64", "64"], "litmobile: --size cannot be used with a model"),
        (["--data=VocDetection", "--data.root=.", "--size", "8", "8"], "--size must be at least 32 pixels"),
        (["--data=VocDetection", "--data.root=."], "litmobile: . is empty"),
        (["--data=VocDetection", "--data.root=.", "--json", "."], "litmobile: --json must name a file"),
        (
            ["--data=LightningDataModule"],
            "litmobile: litmobile inspect supports data for detection, classification, segmentation",
        ),
        (["--run", "/nowhere"], "litmobile: /nowhere is not the folder of a run"),
        (["--run"], "litmobile: --run needs a value"),
        (["--config", SHAPES, "--data.rot=x"], "rot"),
        (["--config", SHAPES, "--no-image"], "--no-image"),
        (["--config", SHAPES, "--model.backbone.widht=0.5"], "widht"),
        ([], "data"),
    ],
)
def test_wrong_options_are_refused(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sentence in get_refusal("inspect", *words, capsys=capsys)


def test_real_bccd(real_data: Path, inspect: Inspect) -> None:
    text, report = inspect("--data=VocDetection", f"--data.root={real_data / 'bccd'}", "--data.test=test")
    assert_same_figures(text, report)
    assert [split["overall"]["objects"] for split in report["splits"].values()] == [2805, 1138, 945]
    assert [len(split["duplicate_objects"]) for split in report["splits"].values()] == [4, 2, 1]
    present, better = (report["anchors"][key]["overall"] for key in ("present", "suggested"))
    assert better["recall"] > present["recall"] and better["iou"] > present["iou"]


def test_real_coco(real_data: Path, inspect: Inspect) -> None:
    text, report = inspect("--config", "detection/ssdlite_coco", f"--data.root={real_data / 'coco_tiny'}")
    assert_same_figures(text, report)
    assert [split["overall"]["objects"] for split in report["splits"].values()] == [699, 804]
    assert len(report["splits"]["train"]["classes"]) == 80
    assert report["anchors"]["present"]["anchors"] == 3234
