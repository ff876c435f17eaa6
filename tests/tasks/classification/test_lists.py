"""CSV lists of images and classes: what is read, and every mistake is named with file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from litmobile.errors import DataError
from litmobile.tasks.classification import ListClassification
from support.data.images import write_grey_image

OneSentence = Callable[..., None]
Lists = Callable[..., Path]

IMAGES = {"a.png": "cat", "b.png": "dog", "inner/c.png": "cat", "d e.png": "dog", "ü.png": "cat", "f,g.png": "dog"}


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    """Writes the images of ``IMAGES``, and lists given by split as bytes or text."""
    for value, name in enumerate(IMAGES):
        write_grey_image(tmp_path / name, value)

    def write(**texts: str | bytes) -> Path:
        for split, text in texts.items():
            content = text.encode() if isinstance(text, str) else text
            (tmp_path / f"{split}.csv").write_bytes(content)
        return tmp_path

    return write


FOUR = "image,label\na.png,cat\nb.png,dog\ninner/c.png,cat\nd e.png,dog\n"


def read(root: Path, split: str = "train", **options: Any) -> list[tuple[str, str]]:
    images = ListClassification(str(root), val="train.csv" if split == "train" else None, **options).read(split)
    labels = [images.classes[k] for k in images.labels]
    return list(zip(images.names.tolist(), labels, strict=True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_delimiter_and_line_ending_is_read(lists: Lists, delimiter: str, ending: str, mark: str) -> None:
    rows = [("label", "size", "image"), *((label, "1", f'"{name}"') for name, label in IMAGES.items())]
    text = mark + ending.join(delimiter.join(row) for row in rows)
    assert read(lists(train=text)) == list(IMAGES.items())


@pytest.mark.parametrize(
    "text",
    [
        "image,label\na.png,cat\nb.png,dog",
        "\nimage,label\n\na.png,cat\n\nb.png,dog\n\n",
        "image, label\na.png, cat\n b.png ,dog \n",
        '"image","label"\n"a.png","cat"\n"b.png","dog"\n',
        "image,label\n  \na.png,cat\nb.png,dog\n",
    ],
)
def test_spaces_and_quotes_around_cells_are_removed(lists: Lists, text: str) -> None:
    assert read(lists(train=text)) == [("a.png", "cat"), ("b.png", "dog")]


def test_images_belong_to_their_names(lists: Lists) -> None:
    data = ListClassification(str(lists(train=FOUR)), val="train.csv")
    images = data.read("train")
    assert images.classes == ("cat", "dog")
    assert [int(images.image(k).max()) for k in range(4)] == [0, 1, 2, 3]


def test_columns_and_image_root_can_be_named(lists: Lists, tmp_path: Path) -> None:
    write_grey_image(tmp_path / "inner" / "x.png")
    root = lists(train="file;kind;image\nc.png;cat;1\nx.png;dog;2\n")
    found = read(root, image_root="inner", image_column="file", label_column="kind")
    assert found == [("c.png", "cat"), ("x.png", "dog")]


def test_integer_labels_are_sorted_as_numbers(lists: Lists) -> None:
    images = ListClassification(str(lists(train="image,label\na.png,10\nb.png,9\nd e.png,-1\n")), val="train.csv")
    assert images.read("train").classes == ("-1", "9", "10")
    mixed = ListClassification(str(lists(train="image,label\na.png,10\nb.png,9\nd e.png,nine\n")), val="train.csv")
    assert mixed.read("train").classes == ("10", "9", "nine")


def test_given_classes_can_be_names_and_indices(lists: Lists) -> None:
    root = lists(train="image,label\na.png,0\nb.png,dog\ninner/c.png,1\nd e.png,emu\n")
    data = ListClassification(str(root), classes=["emu", "dog"], val="train.csv")
    assert data.read("train").labels.tolist() == [0, 1, 1, 0]


def test_a_class_name_takes_precedence_over_an_index(lists: Lists) -> None:
    root = lists(train="image,label\na.png,0\nb.png,1\n")
    data = ListClassification(str(root), classes=["1", "0"], val="train.csv")
    assert data.read("train").labels.tolist() == [1, 0]


def test_all_splits_have_the_classes_of_training(lists: Lists) -> None:
    root = lists(train=FOUR, val="image,label\nü.png,dog\n", test='image,label\n"f,g.png",cat\na.png,dog\n')
    data = ListClassification(str(root))
    for stage in ("fit", "test"):
        data.setup(stage)
    assert [split.labels.tolist() for split in data.splits.values()] == [[0, 1, 0, 1], [1], [0, 1]]


def test_other_lists_can_be_named(lists: Lists) -> None:
    root = lists(a=FOUR, b="image,label\nü.png,dog\n", c="image,label\nü.png,cat\n", val="broken")
    data = ListClassification(str(root), train="a.csv", val="b.csv", test="c.csv")
    assert [len(data.read(split)) for split in ("train", "val", "test")] == [4, 1, 1]


def test_without_val_list_a_fraction_is_set_aside(lists: Lists) -> None:
    data = ListClassification(str(lists(train=FOUR)), val_fraction=0.5)
    data.setup("fit")
    train, val = (set(data.splits[split].names.tolist()) for split in ("train", "val"))
    assert [len(train), len(val), len(train | val)] == [2, 2, 4]
    assert data.splits["val"].counts().tolist() == [1, 1]


def test_a_class_without_images_is_noted(lists: Lists, assert_one_sentence: OneSentence) -> None:
    data = ListClassification(str(lists(train=FOUR)), classes=["cat", "dog", "emu", "gnu"])
    images = data.read("train")
    assert images.counts().tolist() == [1, 1, 0, 0]
    assert_one_sentence(ValueError(images.notes[0]), "train.csv", "emu, gnu")


def refused(root: Path, split: str = "train", **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        ListClassification(str(root), **options).read(split)
    return caught.value


BROKEN = {
    "nothing": ("", ["empty"]),
    "blank": ("\n \n", ["empty"]),
    "nothing in quotes": ('""\n', ["no column 'image'", "names none"]),
    "no images": ("image,label\n", ["no images"]),
    "other columns": ("path,kind\na.png,cat\n", ["no column 'image'", "path, kind"]),
    "no labels": ("image,kind\na.png,cat\n", ["no column 'label'", "image, kind"]),
    "no header": ("a.png,cat\nb.png,dog\n", ["no column 'image'", "a.png, cat"]),
    "one column": ("image\na.png\n", ["no column 'label'", "image"]),
    "spaces": ("image label\na.png cat\n", ["no column 'image'", "image label"]),
    "a column twice": ("image,label,label\na.png,cat,dog\n", ["several columns 'label'"]),
    "no label": ("image,label\na.png,cat\nb.png,\n", ["line 3", "no label"]),
    "no image": ("image,label\n,cat\n", ["line 2", "no image"]),
    "a cell too few": ("image,label\n\na.png,cat\nb.png\n", ["line 4", "1 cells", "2 columns"]),
    "a cell too many": ("image,label\na.png,cat\nf,g.png,dog\n", ["line 3", "3 cells", "comma", "quotes"]),
    "a tab too many": ("image\tlabel\na.png\tcat\t1\n", ["line 2", "3 cells", "tab"]),
    "an open quote": ('image,label\n"a.png,cat\nb.png,dog\n', ["not CSV"]),
    "text after a quote": ('image,label\n"a".png,cat\n', ["line 2", "not CSV"]),
    "twice alike": ("image,label\na.png,cat\nb.png,dog\na.png,cat\n", ["a.png", "line 2", "line 4", "the same label"]),
    "twice, spelled otherwise": (
        "image,label\na.png,cat\nb.png,dog\n./x/../a.png,dog\n",
        ["a.png", "line 2", "line 4", "labels cat and dog"],
    ),
    "twice otherwise": ("image,label\na.png,cat\nb.png,dog\na.png,dog\n", ["line 2", "line 4", "labels cat and dog"]),
    "one class": ("image,label\na.png,cat\nb.png,cat\n", ["only one class, cat"]),
    "no such files": ("image,label\na.png,cat\nx.png,dog\ninner/y.png,cat\n", ["2 of 3", "x.png of line 3"]),
    "no such folder": ("image,label\na.png,cat\nouter/a.png,dog\n", ["1 of 2", "outer/a.png of line 3"]),
    "a name of two lines": ('image,label\n"a\nb.png",cat\nb.png,dog\n', ["1 of 2", "'a\\nb.png' of line 3"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_mistakes_are_named_with_file_and_line(lists: Lists, case: str, assert_one_sentence: OneSentence) -> None:
    text, mentioned = BROKEN[case]
    root = lists(train=text)
    assert_one_sentence(refused(root), root / "train.csv", mentioned)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_refused(lists: Lists, encoding: str, assert_one_sentence: OneSentence) -> None:
    root = lists(train="image,label\nü.png,cat\n".encode(encoding))
    assert_one_sentence(refused(root), root / "train.csv", "UTF-8")


@pytest.mark.parametrize("label", ["2", "-1", "99999999999999999999"])
def test_an_index_out_of_range_is_named(lists: Lists, label: str, assert_one_sentence: OneSentence) -> None:
    root = lists(train=f"image,label\na.png,0\nb.png,{label}\n")
    error = refused(root, classes=["cat", "dog"])
    assert_one_sentence(error, root / "train.csv", "line 3", f"label {label} is outside 0 … 1")


@pytest.mark.parametrize("label", ["emu", "0.0", "01", ""])
def test_a_label_that_is_not_a_class_is_named(lists: Lists, label: str, assert_one_sentence: OneSentence) -> None:
    root = lists(train=f"image,label\na.png,0\nb.png,{label}\n")
    error = refused(root, classes=["cat", "dog"])
    assert_one_sentence(error, root / "train.csv", "line 3", label)


@pytest.mark.parametrize("label", ["emu", "0", "1"])
def test_a_label_missing_in_training_is_named(lists: Lists, label: str, assert_one_sentence: OneSentence) -> None:
    root = lists(train=FOUR, val=f"image,label\na.png,cat\nb.png,{label}\n")
    error = refused(root, "val")
    assert_one_sentence(error, root / "val.csv", "line 3", f"label {label} is not one of the classes cat, dog")


def test_images_of_a_single_class_are_refused(lists: Lists, assert_one_sentence: OneSentence) -> None:
    root = lists(train="image,label\na.png,cat\nb.png,0\n")
    error = refused(root, classes=["cat", "dog"], val="train.csv")
    assert_one_sentence(error, root / "train.csv", "only one class, cat")
    with pytest.raises(ValueError, match="cat twice") as caught:
        ListClassification(str(root), classes=["cat", "cat"])
    assert_one_sentence(caught.value)


def test_missing_lists_and_folders_are_named(lists: Lists, tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    assert_one_sentence(refused(tmp_path / "no"), tmp_path / "no", "--data.root")
    assert_one_sentence(refused(tmp_path), tmp_path / "train.csv", "no lists", "--data.train=FILE")
    root = lists(train=FOUR, other="")
    assert_one_sentence(refused(root, "val", val="valid.csv"), root / "valid.csv", "other.csv, train.csv")
    assert_one_sentence(refused(root, "test"), root / "test.csv", "--data.test=FILE")
    assert_one_sentence(refused(root, image_root="images"), root / "images")


def test_missing_images_can_be_skipped(lists: Lists, caplog: pytest.LogCaptureFixture) -> None:
    root = lists(train=FOUR + "x.png,cat\n", val=FOUR)
    data = ListClassification(str(root), on_invalid="skip", num_workers=0)
    data.setup("fit")
    assert len(data.splits["train"]) == 4
    assert f"{root / 'x.png'} does not exist." in caplog.text


@pytest.mark.parametrize("shared", [0, 1, 2])
def test_images_in_train_and_val_are_noted(lists: Lists, shared: int, caplog: pytest.LogCaptureFixture) -> None:
    known = ["a.png,cat", "./b.png,dog"][:shared]
    root = lists(train=FOUR, val="\n".join(["image,label", *known, "ü.png,cat"]))
    ListClassification(str(root)).setup("fit")
    note = f"{shared} of {shared + 1} images of {root / 'val.csv'} are also in {root / 'train.csv'}"
    assert (note in caplog.text) is (shared > 0)
    assert ("hide overfitting" in caplog.text) is (shared > 0)
