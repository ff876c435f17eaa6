"""Classes of a folder of masks: names, numbers, values and colours agree, or errors say where they do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from litmobile.errors import DataError
from litmobile.tasks.segmentation import FolderSegmentation
from support.data.segmentation import make_stripes, write_image, write_mask, write_split

OneSentence = Callable[..., None]
NAMES = ["sky", "road", "car"]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three training and two validation images with three classes and ignored pixels."""
    return write_split(write_split(tmp_path / "set", "train", 3, (0, 1, 2, 255)), "val", 2)


def setup_error(data: FolderSegmentation, stage: str = "fit") -> DataError:
    with pytest.raises(DataError) as caught:
        data.setup(stage)
    return caught.value


# classes


def test_class_names_are_read_from_a_file(folders: Path) -> None:
    (folders / "classes.txt").write_text("\ufeffHimmel\n Straße \r\nAuto\n\n", encoding="utf-8")
    data = FolderSegmentation(str(folders))
    data.setup("fit")
    assert data.classes == ("Himmel", "Straße", "Auto")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\n \n", "names 0 classes"),
        (b"a\n\nb\n", "no name in line 2"),
        (b"a\nb\na\n", "names the class a twice"),
        (b"\xff\xfe\x00", "UTF-8"),
        ("\n".join(map(str, range(255))).encode(), "names 255 classes"),
    ],
    ids=["none", "gap", "twice", "encoding", "too many"],
)
def test_invalid_class_files_are_refused(
    folders: Path, content: bytes, problem: str, assert_one_sentence: OneSentence
) -> None:
    (folders / "classes.txt").write_bytes(content)
    assert_one_sentence(setup_error(FolderSegmentation(str(folders))), folders / "classes.txt", problem)


def test_classes_are_counted_in_all_training_masks(tmp_path: Path) -> None:
    write_split(write_split(tmp_path, "train", 40, (0, 1)), "val", 2, (0, 255))
    write_mask(tmp_path / "masks" / "train" / "18.png", make_stripes((2, 255)))
    for stage in ("fit", "validate"):
        data = FolderSegmentation(str(tmp_path))
        data.setup(stage)
        assert data.classes == ("class_0", "class_1", "class_2")


@pytest.mark.parametrize("values", [(0, 128), (0, 1, 3), (1, 2), (0, 17, 255)], ids=str)
def test_values_that_are_not_class_indices_need_names(
    tmp_path: Path, values: Sequence[int], assert_one_sentence: OneSentence
) -> None:
    write_split(tmp_path, "", 3, values)
    option = str([value for value in values if value != 255]).replace(" ", "")
    last = tmp_path / "masks" / "0.png"
    assert_one_sentence(
        setup_error(FolderSegmentation(str(tmp_path))), tmp_path / "masks", last, "and not 0", option, "classes.t"
    )
    data = FolderSegmentation(str(tmp_path), values=[value for value in values if value != 255])
    data.setup("fit")
    assert len(data.classes) == len(values) - (255 in values)


def test_photos_are_refused_as_masks(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "images" / "0.png", 0, 1, 256)
    write_mask(tmp_path / "masks" / "0.png", np.arange(255)[None])
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path))), "masks/0.png", "255 values", "254 classes")
    write_mask(tmp_path / "masks" / "0.png", np.array([[0, 40_000]], np.uint16))
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path))), "masks/0.png", "40000", "not 0, 1:")


@pytest.mark.parametrize("source", ["names", "file"])
def test_a_wrong_number_of_classes_is_refused_in_setup(
    folders: Path, source: str, assert_one_sentence: OneSentence
) -> None:
    if source == "file":
        (folders / "classes.txt").write_text("sky\nroad\n")
    error = setup_error(FolderSegmentation(str(folders), classes=NAMES[:2] if source == "names" else None))
    assert_one_sentence(error, folders / "masks" / "train" / "0.png", "value 2", "2 classes' values 0, 1")


def test_values_and_colours_must_be_as_many_as_names(folders: Path, assert_one_sentence: OneSentence) -> None:
    colours = [[k, k, k] for k in range(2)]
    for given in ({"values": [0, 1]}, {"colours": colours}):
        with pytest.raises(ValueError, match="3 classes") as caught:
            FolderSegmentation(str(folders), classes=NAMES, **given)  # pyright: ignore[reportArgumentType]
        assert_one_sentence(caught.value, next(iter(given)), "has 2")
        (folders / "classes.txt").write_text("\n".join(NAMES))
        error = setup_error(FolderSegmentation(str(folders), **given))  # pyright: ignore[reportArgumentType]
        assert_one_sentence(error, folders / "classes.txt", "names 3 classes", f"--data.{next(iter(given))} has 2")


@pytest.mark.parametrize(
    "arguments",
    [
        {"values": [0, 1], "colours": [[0, 0, 0]]},
        {"ignored": [0], "colours": [[0, 0, 0]]},
        {"ignored_colours": [[0, 0, 0]]},
        {"values": [0, 255], "ignored": [255]},
        {"values": [0, 0]},
        {"colours": [[0, 0]]},
        {"classes": ["a", "a"]},
        {"classes": []},
        {"images": "images", "val": "val"},
        {"val_fraction": 0.0},
        {"split_seed": -1},
    ],
    ids=str,
)
def test_contradicting_arguments_are_refused(arguments: dict[str, Any], assert_one_sentence: OneSentence) -> None:
    with pytest.raises(ValueError, match=r"class|values|colour|images|val_fraction|split_seed") as caught:
        FolderSegmentation("somewhere", **arguments)
    assert_one_sentence(caught.value)


def test_ignored_values_have_no_class_index(folders: Path) -> None:
    for arguments in ({"ignored": [0, 255]}, {"ignored": [0, 255], "classes": NAMES[:2], "values": [1, 2]}):
        split = FolderSegmentation(str(folders), **arguments).read("train")  # pyright: ignore[reportArgumentType]
        assert len(split.classes) == 2
        assert np.unique(split.labels(0)).tolist() == [0, 1, 255]
        assert (split.labels(0) == 0).sum() == (make_stripes((0, 1, 2, 255)) == 1).sum()


@pytest.mark.parametrize("source", ["option", "file"])
def test_an_ignored_class_index_needs_values(source: str, folders: Path, assert_one_sentence: OneSentence) -> None:
    (folders / "classes.txt").unlink(missing_ok=True)
    if source == "file":
        (folders / "classes.txt").write_text("\n".join(NAMES))
    data = FolderSegmentation(str(folders), ignored=[0, 255], classes=NAMES if source == "option" else None)
    values = ",".join(str(k + 1) for k in range(len(NAMES)))
    assert_one_sentence(setup_error(data), "The value 0 is ignored", NAMES[0], f"--data.values=[{values}]")


def test_masks_in_colours_are_read(tmp_path: Path) -> None:
    colours = [[0, 0, 0], [128, 64, 128], [255, 0, 0]]
    write_split(tmp_path, "", 3)
    for number in range(3):
        write_mask(tmp_path / "masks" / f"{number}.png", np.array(colours)[make_stripes((0, 1, 2))])
    train = FolderSegmentation(str(tmp_path), colours=colours[:2], ignored_colours=colours[2:]).read_stored("train")
    assert train.classes == ("class_0", "class_1")
    assert np.array_equal(train.labels(0), make_stripes((0, 1, 255)))


@pytest.mark.parametrize("value", [0, 3])
def test_a_single_class_is_refused(tmp_path: Path, value: int, assert_one_sentence: OneSentence) -> None:
    write_split(tmp_path, "", 3, (value,) if value == 0 else (value, 255))
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path))), tmp_path / "masks", f"value {value} alone")


def test_negative_values_are_refused_when_counting_classes(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_image(tmp_path / "images" / "0.png")
    (tmp_path / "masks").mkdir()
    PIL.Image.fromarray(make_stripes((0, 1)).astype(np.int32) - 1).save(tmp_path / "masks" / "0.tif")
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path))), "masks/0.tif", "value -1", "0 … 65535")


@pytest.mark.parametrize("on_invalid", ["raise", "skip"])
def test_counting_says_why_no_mask_can_be_read(
    tmp_path: Path, on_invalid: Any, assert_one_sentence: OneSentence
) -> None:
    write_split(tmp_path, "", 3)
    for number in range(3):
        write_mask(tmp_path / "masks" / f"{number}.png", np.zeros((20, 30, 3), np.uint8))
    error = setup_error(FolderSegmentation(str(tmp_path), on_invalid=on_invalid))
    assert_one_sentence(error, tmp_path / "masks" / "0.png", "RGB", "--data.colours")


# masks of 0 and 255


@pytest.mark.parametrize("classes", [None, ["nothing", "tissue"], NAMES])
def test_masks_of_only_0_and_255_are_refused(
    tmp_path: Path, classes: list[str] | None, assert_one_sentence: OneSentence
) -> None:
    write_split(tmp_path, "", 20, (0, 255))
    error = setup_error(FolderSegmentation(str(tmp_path), classes=classes))
    assert_one_sentence(error, tmp_path / "masks", "0, 255", "--data.values=[0,255]")


def test_masks_of_0_and_255_can_have_two_classes(tmp_path: Path) -> None:
    write_split(tmp_path, "", 3, (0, 255))
    split = FolderSegmentation(str(tmp_path), values=[0, 255]).read_stored("train")
    assert split.classes == ("class_0", "class_1")
    assert np.array_equal(split.labels(0), make_stripes((0, 1)))


def test_one_mask_with_another_value_is_enough(tmp_path: Path) -> None:
    write_split(tmp_path, "", 40, (0, 255))
    write_mask(tmp_path / "masks" / "18.png", make_stripes([1]))
    assert len(FolderSegmentation(str(tmp_path), classes=["nothing", "tissue"]).read_stored("train")) == 40
    assert FolderSegmentation(str(tmp_path)).read_stored("train").classes == ("class_0", "class_1")


def test_masks_of_only_ignored_pixels_are_refused(tmp_path: Path, assert_one_sentence: OneSentence) -> None:
    write_split(tmp_path, "", 3, (255,))
    assert_one_sentence(setup_error(FolderSegmentation(str(tmp_path))), tmp_path / "masks", "--data.ignored")
