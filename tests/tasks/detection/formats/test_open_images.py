"""Open Images' CSV files: rows, names of classes, images, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import write_image, write_text

OneSentence = Callable[..., None]

HEADER = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf\n"
ROW = "a,xclick,/m/01yrx,1,0.4,0.6,0.3,0.7,-1,0\n"
FILE = "train-annotations-bbox.csv"


def write_open_images(root: Path, *rows: str, header: str = HEADER, names: str = "/m/01yrx,Cat\n") -> Path:
    """Write the image a with ``rows`` after a box."""
    write_text(root / FILE, header + ROW + "".join(rows))
    write_text(root / "class-descriptions-boxable.csv", names)
    write_image(root / "train/a.png", (50, 100))
    return root / FILE


def read(root: Path, split: str = "train", **options: Any) -> DetectionSplit:
    return FolderDetection(str(root), **options).read_stored(split)


@pytest.mark.parametrize("flag", ["0", "1", "-1", ""])
def test_groups_are_crowds(flag: str, tmp_path: Path) -> None:
    write_open_images(tmp_path, ROW.replace("-1,0\n", f"0,{flag}\n"))
    split = read(tmp_path)
    np.testing.assert_allclose(split.boxes[0], [40, 15, 60, 35])
    assert split.ground_truth.is_crowd.tolist() == [False, flag == "1"]
    assert len(split.labels) == (1 if flag == "1" else 2)


def test_columns_may_be_in_any_order_without_flags(tmp_path: Path) -> None:
    write_open_images(tmp_path)
    write_text(tmp_path / FILE, "XMin,YMin,XMax,YMax,LabelName,ImageID\r\n0.4,0.3,0.6,0.7,/m/01yrx,a\r\n")
    np.testing.assert_allclose(read(tmp_path).boxes, [[40, 15, 60, 35]])


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("/m/01yrx,Cat\n", ("/m/0x", "Cat")),
        ("LabelName,DisplayName\n/m/01yrx,Cat\n/m/0x,Dog\n", ("Cat", "Dog")),
        ("/m/01yrx,Mouse\n/m/0x,Mouse\n", ("Mouse (/m/01yrx)", "Mouse (/m/0x)")),
        ('/m/01yrx,"Cat, the animal"\n/m/0x,Dog', ("Cat, the animal", "Dog")),
        ("something,else\n", ("/m/01yrx", "/m/0x")),
    ],
    ids=["unnamed code", "header", "equal names", "comma", "no names"],
)
def test_codes_are_replaced_by_names(names: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    write_open_images(tmp_path, ROW.replace("01yrx", "0x"), names=names)
    assert read(tmp_path).classes == classes


INVALID = {
    "pixels": (ROW.replace("0.4", "40"), "'40'"),
    "nan": (ROW.replace("0.4", "nan"), "'nan'"),
    "empty": (ROW.replace("0.4", ""), "''"),
    "word": (ROW.replace("0.4", "left"), "'left'"),
    "cut": ("a,xclick,/m/01yrx,1,0.4,0.6,0.", "7 columns instead of 10"),
    "one column more": (ROW.replace("\n", ",0\n"), "11 columns instead of 10"),
    "unknown flag": (ROW.replace("-1,0\n", "0,maybe\n"), "'maybe'"),
    "no class": (ROW.replace("/m/01yrx", ""), "LabelName"),
    "missing image": (ROW.replace("a,", "gone,", 1), "gone"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_row_is_named_or_left_out(case: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    row, mentioned = INVALID[case]
    file = write_open_images(tmp_path, row)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, mentioned, *(["line 3"] if case != "missing image" else []))
    split = read(tmp_path, on_invalid="skip")
    assert len(split) == len(split.labels) == 1
    assert f"Left out: {caught.value}" in split.notes


@pytest.mark.parametrize("name", [FILE, "class-descriptions-boxable.csv"])
def test_a_file_that_is_not_utf8_is_named(name: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    file = write_open_images(tmp_path).parent / name
    file.write_bytes(file.read_bytes() + "/m/0k,Käfer\n".encode("latin-1"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, file, "UTF-8")


def test_a_file_without_rows_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(write_open_images(tmp_path), HEADER)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / FILE)


def test_images_that_are_not_mentioned_are_counted(tmp_path: Path) -> None:
    write_open_images(tmp_path)
    write_image(tmp_path / "train/b.png", (50, 100))
    write_image(tmp_path / "test/c.png", (50, 100))
    split = read(tmp_path)
    assert len(split) == 1
    assert "1 image that the file does not mention left out" in split.notes[0]


def test_splits_keep_their_images(tmp_path: Path) -> None:
    write_open_images(tmp_path)
    write_text(tmp_path / "validation-annotations-bbox.csv", HEADER + ROW)
    write_image(tmp_path / "val/a.png", (20, 20))
    assert read(tmp_path, "train").size(0) == (50, 100)
    assert read(tmp_path, "val").size(0) == (20, 20)


def test_two_images_of_one_id_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_open_images(tmp_path)
    write_image(tmp_path / "data/a.png", (50, 100))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, "data/a.png", "train/a.png")


def test_two_files_of_one_split_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_open_images(tmp_path)
    write_text(tmp_path / "oidv6-train-annotations-bbox.csv", HEADER + ROW)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, "oidv6-train-annotations-bbox.csv", FILE, "--data.annotations")
