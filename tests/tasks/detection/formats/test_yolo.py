"""YOLO's format: where splits, labels and classes are, what a line may contain, and what is refused."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from litmobile.errors import DataError
from litmobile.tasks.data.split import note_shared_images
from litmobile.tasks.detection.data import FolderDetection
from litmobile.tasks.detection.split import DetectionSplit
from support.data.layouts import write_image, write_text

OneSentence = Callable[..., None]

SIZE = (50, 100)
BOX = "0 0.5 0.5 0.2 0.4\n"  # 40, 15, 60, 35
YAML = "train: images\nnames: [cat, dog]\n"


def write_yolo(root: Path, label: str = BOX, yaml: str = YAML) -> Path:
    """Write two images: a with ``label``, and b with a dog."""
    for stem, text in (("a", label), ("b", BOX.replace("0", "1", 1))):
        write_image(root / f"images/{stem}.png", SIZE)
        write_text(root / f"labels/{stem}.txt", text)
    if yaml:
        write_text(root / "data.yaml", yaml)
    return root


def read(root: Path, split: str = "train", **options: Any) -> DetectionSplit:
    return FolderDetection(str(root), **options).read_stored(split)


def stems(split: DetectionSplit) -> list[str]:
    return [split.path(k).stem for k in range(len(split))]


@pytest.mark.parametrize(
    ("line", "box"),
    [
        (BOX, [40, 15, 60, 35]),
        ("0.0 .5 5e-1 0.2 0.4", [40, 15, 60, 35]),
        ("0\t0.5\t0.5\t1.0000004\t1\r\n\r\n", [0, 0, 100, 50]),
        ("\ufeff0 0.5 0.5 0.2 0.4", [40, 15, 60, 35]),
        ("0 0.1 0.2 0.5 0.2 0.3 0.6", [10, 10, 50, 30]),
        ("0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5", [10, 5, 90, 45]),
    ],
    ids=["box", "floats", "rounding", "byte order mark", "polygon", "oriented box"],
)
def test_a_line_is_read_as_a_box(line: str, box: list[float], tmp_path: Path) -> None:
    split = read(write_yolo(tmp_path, line))
    np.testing.assert_allclose(split.objects(0)[0], [box], atol=1e-3)
    assert split.objects(0)[1].tolist() == [0]


INVALID = {
    "confidence": ("0 0.5 0.5 0.2 0.4 0.9", "6 columns"),
    "key points": ("0 0.5 0.5 0.2 0.4 0.5 0.5 2", "8 columns"),
    "too few columns": ("0 0.5 0.5", "3 columns"),
    "two points": ("0 0.1 0.1", "3 columns"),
    "pixels": ("0 50 25 20 20", "'50'"),
    "slightly outside": ("0 1.01 0.5 0.2 0.2", "'1.01'"),
    "negative": ("0 -0.2 0.5 0.2 0.2", "'-0.2'"),
    "nan": ("0 nan 0.5 0.2 0.4", "'nan'"),
    "inf": ("0 0.5 0.5 inf 0.4", "'inf'"),
    "word": ("0 0.5 0.5 wide 0.4", "'wide'"),
    "comma": ("0 0,5 0,5 0,2 0,4", "'0,5'"),
    "digits with underscore": ("0 0.5_1 0.5 0.2 0.4", "'0.5_1'"),
    "unknown class": ("2 0.5 0.5 0.2 0.4", "class index 2"),
    "negative class": ("-1 0.5 0.5 0.2 0.4", "class index -1"),
    "fractional class": ("0.5 0.5 0.5 0.2 0.4", "class index '0.5'"),
    "class name": ("cat 0.5 0.5 0.2 0.4", "class index 'cat'"),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_line_is_named_or_left_out(case: str, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    line, mentioned = INVALID[case]
    write_yolo(tmp_path, f"{BOX}\n{line}\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "labels/a.txt", "line 3", mentioned)
    split = read(tmp_path, on_invalid="skip")
    assert stems(split) == ["a", "b"]
    assert len(split.labels) == 2
    assert split.notes[1:] == (f"Left out: {caught.value}",)  # the first is on sizes


def test_boxes_are_read_without_declared_key_points(tmp_path: Path) -> None:
    write_yolo(tmp_path, "0 0.5 0.5 0.2 0.4 0.1 0.1 2 0.3 0.3 0\n", f"kpt_shape: [2, 3]\n{YAML}")
    split = read(tmp_path)
    np.testing.assert_allclose(split.objects(0)[0], [[40, 15, 60, 35]], atol=1e-3)
    assert "1 box read without their key points" in split.notes[0]


def test_polygons_are_counted_in_one_note(tmp_path: Path) -> None:
    split = read(write_yolo(tmp_path, "0 0 0 0 1 1 1\n" * 3))
    assert "3 boxes derived from polygons" in split.notes[0] and len(split.notes) == 1


# images without labels, labels without images


def test_images_without_labels_have_no_objects(tmp_path: Path) -> None:
    write_yolo(tmp_path, "")
    write_image(tmp_path / "images/c.png", SIZE)
    split = read(tmp_path)
    assert stems(split) == ["a", "b", "c"]
    assert np.diff(split.starts).tolist() == [0, 1, 0]
    assert "1 image without a label file" in split.notes[0]


def test_images_without_any_label_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(write_yolo(tmp_path) / "data.yaml", "train: images\nval: other\nnames: [cat, dog]\n")
    write_image(tmp_path / "other/c.png", SIZE)
    with pytest.raises(DataError) as caught:
        read(tmp_path, "val")
    assert_one_sentence(caught.value, tmp_path / "other", "contains 1 image, none")


def test_a_data_yaml_alone_is_not_enough(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "images/c.png", SIZE)
    write_text(tmp_path / "data.yaml", YAML)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "data.yaml", "label file")


def test_labels_without_images_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(tmp_path / "labels/a.txt", BOX)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path, "1 label file")


def test_images_in_both_splits_are_counted(tmp_path: Path) -> None:
    write_yolo(tmp_path, yaml="train: images\nval: images\nnames: [cat, dog]\n")
    data = FolderDetection(str(tmp_path), num_workers=0)
    data.setup("fit")
    assert "2 images in val and in train" in note_shared_images(data.splits)[0]


def test_a_label_without_an_image_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    (write_yolo(tmp_path) / "images/b.png").unlink()
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "labels/b.txt", "no image called b")
    assert stems(read(tmp_path, on_invalid="skip")) == ["a"]


def test_a_label_that_is_not_utf8_is_named(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    (write_yolo(tmp_path) / "labels/a.txt").write_bytes(BOX.encode("utf-16"))
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "labels/a.txt", "UTF-8")
    assert stems(read(tmp_path, on_invalid="skip")) == ["b"]


@pytest.mark.parametrize("name", ["README.txt", "labels/classes.txt", "notes.txt", "labels/a.cache", "LICENSE.txt"])
def test_other_files_are_not_labels(name: str, tmp_path: Path) -> None:
    write_text(write_yolo(tmp_path) / name, "cat\ndog\n")
    assert stems(read(tmp_path)) == ["a", "b"]


def test_two_labels_of_one_image_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_text(write_yolo(tmp_path) / "old labels/a.txt", BOX)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, "old labels/a.txt", "labels/a.txt")


def test_captions_beside_images_are_not_yolo(tmp_path: Path) -> None:
    write_yolo(tmp_path, "a cat on 2 mats", yaml="")
    write_text(tmp_path / "labels/b.txt", "a dog")
    with pytest.raises(DataError, match="no annotations of"):
        read(tmp_path)


# splits


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/one\nval: images/two",
        "path: /home/somebody/data\ntrain: /home/somebody/data/images/one/\nval: [images/two]",
        "path: ../elsewhere\ntrain: ../images/one\nval:\n- images/two/*.png",
        "train: one.txt\nval: ./lists/two.txt",
    ],
    ids=["folders", "absolute", "list and pattern", "list files"],
)
def test_the_yaml_file_names_the_splits(yaml: str, tmp_path: Path) -> None:
    for folder, stem in (("one", "a"), ("two", "b")):
        write_image(tmp_path / f"images/{folder}/{stem}.png", SIZE)
        write_text(tmp_path / f"labels/{folder}/{stem}.txt", BOX)
    write_text(tmp_path / "one.txt", "./images/one/a.png\n")
    write_text(tmp_path / "lists/two.txt", "D:\\data\\images\\two\\b.png\n")
    write_text(tmp_path / "my.yaml", f"{yaml}\nnames:\n  0: cat\n")
    assert stems(read(tmp_path, "train")) == ["a"]
    assert stems(read(tmp_path, "val")) == ["b"]


def test_a_missing_split_is_not_replaced_by_another(tmp_path: Path) -> None:
    write_yolo(tmp_path, yaml="train: images\nval: data/val/images\nnames: [cat, dog]\n")
    form = FolderDetection(str(tmp_path)).format
    assert list(form.splits) == ["train"]
    assert "val: data/val/images" in form.notes[0]


def test_a_list_that_names_a_missing_image_is_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_yolo(tmp_path, yaml="train: train.txt\nnames: [cat, dog]\n")
    write_text(tmp_path / "train.txt", "images/a.png\nimages/gone.png\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert_one_sentence(caught.value, tmp_path / "train.txt", "line 2", "images/gone.png")
    assert stems(read(tmp_path, on_invalid="skip")) == ["a"]


def test_images_of_equal_names_keep_their_folders(tmp_path: Path) -> None:
    for k, folder in enumerate(("train/x", "train/y", "val/x")):
        write_image(tmp_path / f"images/{folder}/1.png", SIZE)
        write_text(tmp_path / f"labels/{folder}/1.txt", f"{k} 0.5 0.5 0.2 0.2\n")
    write_text(tmp_path / "classes.txt", "cat\ndog\nfish\n")
    split = read(tmp_path)
    assert {split.path(k).parent.name: split.objects(k)[1].tolist() for k in range(2)} == {"x": [0], "y": [1]}
    assert read(tmp_path, "val").labels.tolist() == [2]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_unicode_forms_of_a_name_are_equal(forms: tuple[Any, Any], tmp_path: Path) -> None:
    image, label = (unicodedata.normalize(form, "Käfer") for form in forms)
    write_image(tmp_path / f"images/{image}.png", SIZE)
    write_text(tmp_path / f"labels/{label}.txt", BOX)
    assert stems(read(tmp_path)) == [image]


# classes


def test_classes_without_a_list_are_their_indices(tmp_path: Path) -> None:
    split = read(write_yolo(tmp_path, "10 0.5 0.5 0.2 0.2\n", yaml=""))
    assert split.classes == ("1", "10")
    assert split.labels.tolist() == [1, 0]
